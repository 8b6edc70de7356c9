-- A certificate that its device has exchanged for a newer one (RFC 7030 4.2.2); it is good until it ends all the same.
ALTER TABLE certificates
  MODIFY COLUMN state ENUM('reserved', 'issued', 'discarded', 'superseded') NOT NULL;
