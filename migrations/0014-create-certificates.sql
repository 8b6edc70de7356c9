-- A serial is stored (`reserved`) before anything is signed with it.
CREATE TABLE IF NOT EXISTS certificates (
  serial CHAR(40) NOT NULL PRIMARY KEY COMMENT 'hex, upper case',
  ca_key_id CHAR(32) NOT NULL,
  registration_id CHAR(36) NOT NULL,
  device_id CHAR(36) NULL,
  certificate BLOB NULL COMMENT 'DER',
  not_before DATETIME(3) NULL,
  not_after DATETIME(3) NULL,
  state ENUM('reserved', 'issued', 'discarded') NOT NULL,
  created_at DATETIME(3) NOT NULL,
  KEY by_device (device_id)
) ENGINE = InnoDB;
