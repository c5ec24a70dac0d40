DROP FUNCTION try_writing();
DROP TABLE write_trials;
