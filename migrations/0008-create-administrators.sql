CREATE TABLE IF NOT EXISTS administrators (
  id CHAR(36) NOT NULL PRIMARY KEY,
  tenant VARCHAR(63) NOT NULL,
  full_name VARCHAR(100) NOT NULL,
  email VARCHAR(254) NOT NULL,
  password_hash VARCHAR(255) NOT NULL COMMENT 'argon2id, PHC string',
  created_at DATETIME(3) NOT NULL,
  UNIQUE KEY one_email (email)
) ENGINE = InnoDB;
