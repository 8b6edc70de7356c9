-- Immutable revisions. `answer_values` has no secrets; `secrets` names where each is kept: {"field": {"file": name}} or {"field": {"sealed": …}}.
CREATE TABLE IF NOT EXISTS answers (
  install_id CHAR(36) NOT NULL,
  step VARCHAR(32) NOT NULL,
  revision INT UNSIGNED NOT NULL,
  answer_values JSON NOT NULL,
  secrets JSON NOT NULL,
  findings JSON NOT NULL,
  actor VARCHAR(64) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  applied_at DATETIME(3) NULL,
  PRIMARY KEY (install_id, step, revision)
) ENGINE = InnoDB;
