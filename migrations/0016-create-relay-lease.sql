-- One relay at a time; the row is held FOR UPDATE while a batch is on its way.
CREATE TABLE IF NOT EXISTS relay_lease (
  name VARCHAR(32) NOT NULL PRIMARY KEY,
  holder VARCHAR(64) NOT NULL,
  taken_at DATETIME(3) NOT NULL
) ENGINE = InnoDB;
