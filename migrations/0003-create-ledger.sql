-- Each effect as intent before it is made, as done after.
CREATE TABLE IF NOT EXISTS ledger (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  install_id CHAR(36) NOT NULL,
  step VARCHAR(32) NOT NULL,
  kind VARCHAR(32) NOT NULL,
  name VARCHAR(190) NOT NULL,
  state ENUM('intent', 'done', 'undone') NOT NULL,
  detail JSON NOT NULL,
  intended_at DATETIME(3) NOT NULL,
  done_at DATETIME(3) NULL,
  UNIQUE KEY one_effect (install_id, kind, name)
) ENGINE = InnoDB;
