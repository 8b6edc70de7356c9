-- What leads from one key of a CA to the next while devices trust the one or the other (RFC 4210 4.4: new with old, old with new).
CREATE TABLE IF NOT EXISTS ca_key_updates (
  subject_key CHAR(32) NOT NULL,
  issuer_key CHAR(32) NOT NULL,
  tenant VARCHAR(63) NOT NULL,
  certificate BLOB NOT NULL COMMENT 'DER',
  PRIMARY KEY (subject_key, issuer_key)
) ENGINE = InnoDB;
