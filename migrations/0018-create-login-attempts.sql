-- Failed logins to the Control Panel, by e-mail and by address: the limiter lives here, not in memcached.
CREATE TABLE IF NOT EXISTS login_attempts (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  subject VARCHAR(254) NOT NULL,
  at DATETIME(3) NOT NULL,
  KEY by_subject (subject, at)
) ENGINE = InnoDB;
