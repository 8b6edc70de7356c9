-- One enrolment at a time on one secret: who signs has claimed the registration first. A claim lapses, so a killed DAE
-- blocks nobody for long. MySQL has no IF NOT EXISTS here and reads the M! comments as nothing.
ALTER TABLE registrations
  ADD COLUMN /*M! IF NOT EXISTS */ claimed_by CHAR(40) NULL COMMENT 'serial of the certificate that is being made',
  ADD COLUMN /*M! IF NOT EXISTS */ claimed_until DATETIME(3) NULL;
