"""What PostgreSQL's catalog is asked for a backup and a restore. Standard library only."""
# ruff: noqa: S608  # put together from constants

OWN = "n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'"
FREE = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {0} AND d.classid = '{1}'::regclass AND d.deptype = 'e')"

# Schema, name, columns that hold data, full name; what an extension brought is its own.
TABLES = f"""SELECT n.nspname, c.relname,
  (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''),
  quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND {OWN} AND {FREE.format("c.oid", "pg_class")} ORDER BY 1, 2"""

EXTENSIONS = f"""SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND {OWN} AND NOT {FREE.format("c.oid", "pg_class")}"""

OTHERS = """FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
  AND application_name IS DISTINCT FROM current_setting('application_name')"""

USERS = f"""SELECT coalesce(nullif(application_name, ''), 'a program'), usename,
  coalesce(host(client_addr), 'this machine'), pid {OTHERS} ORDER BY pid LIMIT 20"""

FREE_ROUTINE = FREE.format("p.oid", "pg_proc").replace("= 'e'", "IN ('e', 'i')")  # a range type has its own
OTHER_KINDS = """'collation', 'conversion', 'operator', 'operator class', 'operator family',
  'text search configuration', 'text search dictionary', 'text search parser', 'text search template'"""

# Drops what a dump makes again. Extensions stay: to make those takes rights that a service seldom has.
EMPTY = f"""DO $empty$ DECLARE statement text; BEGIN
IF EXISTS (SELECT {OTHERS}) THEN RAISE EXCEPTION 'another program has connected; stop it first'; END IF;
FOREACH statement IN ARRAY (SELECT coalesce(array_agg(sql ORDER BY step), '{{}}') FROM (
  SELECT 1 AS step, format('DROP PUBLICATION IF EXISTS %I', pubname) AS sql FROM pg_publication
  UNION ALL SELECT CASE c.relkind WHEN 'S' THEN 3 ELSE 2 END, format('DROP %s IF EXISTS %I.%I CASCADE',
    CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
      WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {OWN} AND {FREE.format("c.oid", "pg_class")}
  UNION ALL SELECT 4, format('DROP ROUTINE IF EXISTS %I.%I(%s) CASCADE', n.nspname, p.proname,
    pg_get_function_identity_arguments(p.oid)) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE {OWN} AND {FREE_ROUTINE}
  UNION ALL SELECT 5, format('DROP TYPE IF EXISTS %I.%I CASCADE', n.nspname, t.typname)
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND {OWN} AND {FREE.format("t.oid", "pg_type")}
  UNION ALL SELECT 6, format('DROP %s IF EXISTS %s CASCADE', upper(o.type), o.identity)
    FROM pg_depend s JOIN pg_namespace n ON s.refclassid = 'pg_namespace'::regclass AND s.refobjid = n.oid
    CROSS JOIN pg_identify_object(s.classid, s.objid, 0) AS o
    WHERE {OWN} AND s.deptype = 'n' AND o.type IN ({OTHER_KINDS})
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = s.objid AND d.classid = s.classid AND d.deptype = 'e')
  UNION ALL SELECT 6, format('SELECT lo_unlink(%s)', oid) FROM pg_largeobject_metadata
  UNION ALL SELECT 7, format('DROP SCHEMA %I', n.nspname) FROM pg_namespace n
    WHERE {OWN} AND n.nspname <> 'public' AND n.oid NOT IN (SELECT extnamespace FROM pg_extension)
      AND {FREE.format("n.oid", "pg_namespace")}
) AS every) LOOP EXECUTE statement; END LOOP; END $empty$"""

SHAPE = """SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database
WHERE datname = current_database()"""

MAY_CREATE = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
SCRATCH = r"SELECT datname FROM pg_database WHERE datname ~ '^scratch_\d{8}_[0-9a-f]{12}$'"
MAJOR = "SELECT current_setting('server_version_num')::int / 10000"
