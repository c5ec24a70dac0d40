DROP TABLE function_schemas;
ALTER TABLE group_unknown_members RENAME CONSTRAINT pk_group_unknown_members TO pk_group_strangers;
ALTER TABLE group_unknown_members RENAME TO group_strangers;
ALTER TABLE accounts RENAME COLUMN group_revision TO facts;
ALTER TABLE accounts RENAME COLUMN role_state TO standing;
