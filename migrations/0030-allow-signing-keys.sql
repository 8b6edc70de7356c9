-- A tenant's signing key signs messages (services/kms/signing.ts), and nothing else.
ALTER TABLE kms_keys MODIFY COLUMN purpose ENUM('master', 'service-ca', 'tenant-ca', 'tenant', 'signing') NOT NULL;
