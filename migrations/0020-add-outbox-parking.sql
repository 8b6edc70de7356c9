-- An event that the broker will never take (too large) is parked, with the reason, so that others go on. The index serves
-- the relay's two questions: which topics have events waiting, and which are the oldest of one topic.
ALTER TABLE outbox
  ADD COLUMN /*M! IF NOT EXISTS */ parked_at DATETIME(3) NULL,
  ADD COLUMN /*M! IF NOT EXISTS */ parked_because VARCHAR(190) NULL,
  ADD KEY /*M! IF NOT EXISTS */ waiting (published_at, parked_at, topic, id),
  DROP KEY /*M! IF EXISTS */ unpublished;
