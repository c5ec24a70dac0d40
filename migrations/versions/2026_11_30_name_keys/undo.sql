-- The way back. Names that were stored since have a key of the second version; they get the one of the first again, which
-- no two people share: names that differ by the second differ by the first.

UPDATE users SET user_name_key = of_first.key
  FROM (SELECT tenant_id, id,
               normalize(casefold(normalize(document ->> 'userName', NFC) COLLATE "pg_unicode_fast"), NFC) COLLATE "C" AS key
          FROM users) of_first
 WHERE of_first.tenant_id = users.tenant_id AND of_first.id = users.id AND users.user_name_key <> of_first.key;
UPDATE groups SET display_name_key = of_first.key
  FROM (SELECT tenant_id, id, normalize(casefold(normalize(display_name, NFC) COLLATE "pg_unicode_fast"), NFC) COLLATE "C" AS key
          FROM groups) of_first
 WHERE of_first.tenant_id = groups.tenant_id AND of_first.id = groups.id AND groups.display_name_key <> of_first.key;

DROP TABLE user_name_keys, group_name_keys;
ALTER TABLE tenants DROP COLUMN name_comparison;
