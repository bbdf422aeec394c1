# needs: sqlite3
# Tables, indexes, a recursive query, JSON, transactions, an integrity check and a vacuum.
sqlite3 data.db <<'SQL'
PRAGMA journal_mode = WAL;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, tags TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO item
  SELECT i, printf('item-%06d', i * 7919 % 60013), i * 0.25, json_array(i % 7, i % 11) FROM n;
CREATE INDEX by_name ON item(name);
CREATE INDEX by_price ON item(price, id);
SELECT count(*), sum(id), round(avg(price), 3), min(name), max(name) FROM item;
SELECT json_extract(tags, '$[0]') AS tag, count(*), group_concat(substr(name, 6, 2))
  FROM (SELECT * FROM item LIMIT 200) GROUP BY tag;
SELECT a.name, b.name FROM item a JOIN item b ON a.id = b.id * 2 AND a.price > b.price
  ORDER BY a.name DESC LIMIT 5;
CREATE TABLE word AS SELECT DISTINCT substr(name, 6, 3) AS w FROM item;
BEGIN;
DELETE FROM item WHERE id % 3 = 0;
ROLLBACK;
BEGIN;
UPDATE item SET name = name || 'x' WHERE id % 5 = 0;
COMMIT;
SELECT count(*), length(group_concat(name)) FROM item;
PRAGMA integrity_check;
VACUUM;
SQL
sqlite3 data.db .dump | cksum
