-- API callers of a tenant; the secret is sealed under the data key `participants`, AAD = participants/<id>/<tenant>.
CREATE TABLE IF NOT EXISTS participants (
  id CHAR(36) NOT NULL PRIMARY KEY,
  tenant VARCHAR(63) NOT NULL,
  secret JSON NOT NULL,
  created_at DATETIME(3) NOT NULL
) ENGINE = InnoDB;
