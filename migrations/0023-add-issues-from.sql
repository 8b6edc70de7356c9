-- A CA that follows another is known to devices (/cacerts) before it issues: null, from the beginning.
ALTER TABLE certificate_authorities
  ADD COLUMN /*M! IF NOT EXISTS */ issues_from DATETIME(3) NULL;
