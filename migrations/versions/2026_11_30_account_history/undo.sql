-- No history of accounts.

DROP TRIGGER keep_history ON accounts;
DROP FUNCTION keep_account_history();
DROP TABLE account_history_marks;
DROP TABLE account_history;
