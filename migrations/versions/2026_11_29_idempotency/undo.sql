-- The way back: every key is forgotten.

DROP FUNCTION hold_idempotency_key;
DROP TABLE idempotency_keys;
