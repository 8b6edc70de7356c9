-- Every key of the key store that is ours. A row in state `intent` is written before the token makes the key.
CREATE TABLE IF NOT EXISTS kms_keys (
  id CHAR(32) NOT NULL PRIMARY KEY COMMENT 'CKA_ID, hex',
  purpose ENUM('master', 'service-ca', 'tenant-ca', 'tenant') NOT NULL,
  tenant VARCHAR(63) NOT NULL DEFAULT '' COMMENT 'empty: the install itself',
  algorithm VARCHAR(16) NOT NULL,
  label VARCHAR(64) NOT NULL,
  state ENUM('intent', 'active') NOT NULL,
  public_key BLOB NULL COMMENT 'SubjectPublicKeyInfo, DER',
  certificate BLOB NULL COMMENT 'CA certificate, DER',
  created_at DATETIME(3) NOT NULL,
  UNIQUE KEY one_key_a_purpose (purpose, tenant)
) ENGINE = InnoDB;
