-- One row an install; finished_at set means the setup routes are gone.
CREATE TABLE IF NOT EXISTS installs (
  id CHAR(36) NOT NULL PRIMARY KEY,
  created_at DATETIME(3) NOT NULL,
  finished_at DATETIME(3) NULL
) ENGINE = InnoDB;
