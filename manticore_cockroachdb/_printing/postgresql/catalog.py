"""The questions that PostgreSQL's catalogs are asked for a printing. Statements only.

All of them are sent in one round trip, in one read-only transaction (`BEGIN_READING`), so that they see one
state of the schema. `search_path` is empty there: PostgreSQL's own printing functions (`pg_get_…def`,
`format_type`) then write every name outside `pg_catalog` with its schema. Columns that only newer servers
have are read through `to_jsonb(row)`, which is NULL for a missing column.
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-CATALOG
"""

from __future__ import annotations

#: What literals in expressions look like depends on these settings; so they are always the same.
BEGIN_READING = (
    "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL search_path = ''",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'postgres'",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL quote_all_identifiers = off",
    "SET LOCAL standard_conforming_strings = on",
)


def _outside(schema: str) -> str:
    """Not in one of the server's own schemas, nor in a session's temporary one."""
    return f"{schema}.nspname !~ '^pg_' AND {schema}.nspname <> 'information_schema'"


def _free(catalog: str, oid: str, bonds: str = "'e'") -> str:
    """Not made by another statement: CREATE EXTENSION ('e'), or the object it is a part of ('i')."""
    return (
        f"NOT EXISTS (SELECT FROM pg_depend x WHERE x.deptype IN ({bonds}) AND x.objsubid = 0 "
        f"AND x.classid = '{catalog}'::regclass AND x.objid = {oid})"
    )


def _qualified(schema: str, name: str) -> str:
    return f"quote_ident({schema}.nspname) || '.' || quote_ident({name})"


def _named_twice(constraint: str) -> str:
    """Whether a constraint of NOT NULL has its name in common with another one of the schema.

    The server does not choose such a name. Constraints that a table inherits are left out: they come
    after the one they are named as.
    """
    return (
        f"EXISTS (SELECT FROM pg_constraint x WHERE x.conname = {constraint}.conname "
        f"AND x.connamespace = {constraint}.connamespace AND x.oid <> {constraint}.oid "
        "AND x.coninhcount = 0)"
    )


SELF = "SELECT current_user::TEXT AS role, current_setting('server_version') AS version"

#: $1, $2: schema and name of the ledger.
LEDGER_OWNER = """
SELECT pg_get_userbyid(c.relowner)::TEXT AS role
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1::TEXT AND c.relname = $2::TEXT
"""

SCHEMAS = f"""
SELECT n.oid::INT8, quote_ident(n.nspname) AS name, pg_get_userbyid(n.nspowner)::TEXT AS owner,
    -- `public` is made by initdb, which grants in its owner's name.
    n.nspowner IN (SELECT e.grantor FROM pg_init_privs i, aclexplode(i.initprivs) e
        WHERE i.objoid = n.oid AND i.classoid = 'pg_namespace'::regclass) AS as_initdb
FROM pg_namespace n
WHERE {_outside("n")} AND {_free("pg_namespace", "n.oid")}
"""

EXTENSIONS = """
SELECT e.oid::INT8, quote_ident(e.extname) AS name, quote_ident(n.nspname) AS schema,
    e.extnamespace::INT8 AS schema_oid
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.oid >= 16384
"""

EXTENSION_MEMBERS = """
SELECT classid::regclass::TEXT AS class, objid::INT8 AS oid, refobjid::INT8 AS extension
FROM pg_depend WHERE deptype = 'e' AND objsubid = 0
    AND refclassid = 'pg_extension'::regclass AND refobjid >= 16384
"""

COLLATIONS = f"""
SELECT c.oid::INT8, {_qualified("n", "c.collname")} AS name, pg_get_userbyid(c.collowner)::TEXT AS owner,
    c.collprovider::TEXT AS provider, c.collisdeterministic AS deterministic,
    c.collcollate::TEXT AS lc_collate, c.collctype::TEXT AS lc_ctype,
    coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale') AS locale,
    to_jsonb(c) ->> 'collicurules' AS rules
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
WHERE {_outside("n")} AND {_free("pg_collation", "c.oid")}
"""

ENUMS = f"""
SELECT t.oid::INT8, {_qualified("n", "t.typname")} AS name, pg_get_userbyid(t.typowner)::TEXT AS owner,
    array(SELECT quote_literal(e.enumlabel) FROM pg_enum e WHERE e.enumtypid = t.oid
        ORDER BY e.enumsortorder) AS labels
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'e' AND {_outside("n")} AND {_free("pg_type", "t.oid")}
"""

RANGES = f"""
SELECT t.oid::INT8, {_qualified("n", "t.typname")} AS name, pg_get_userbyid(t.typowner)::TEXT AS owner,
    format_type(r.rngsubtype, NULL) AS subtype,
    CASE WHEN NOT o.opcdefault THEN {_qualified("on_", "o.opcname")} END AS opclass,
    CASE WHEN r.rngcollation <> s.typcollation THEN {_qualified("cn", "c.collname")} END AS collation,
    CASE WHEN r.rngcanonical <> 0 THEN r.rngcanonical::regproc::TEXT END AS canonical,
    CASE WHEN r.rngsubdiff <> 0 THEN r.rngsubdiff::regproc::TEXT END AS subtype_diff,
    (SELECT {_qualified("mn", "m.typname")} FROM pg_type m JOIN pg_namespace mn
        ON mn.oid = m.typnamespace WHERE m.oid = (to_jsonb(r) ->> 'rngmultitypid')::oid) AS multirange
FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid JOIN pg_namespace n ON n.oid = t.typnamespace
    JOIN pg_type s ON s.oid = r.rngsubtype
    JOIN pg_opclass o ON o.oid = r.rngsubopc JOIN pg_namespace on_ ON on_.oid = o.opcnamespace
    LEFT JOIN pg_collation c ON c.oid = r.rngcollation
    LEFT JOIN pg_namespace cn ON cn.oid = c.collnamespace
WHERE {_outside("n")} AND {_free("pg_type", "t.oid")}
"""

DOMAINS = f"""
SELECT t.oid::INT8, {_qualified("n", "t.typname")} AS name, pg_get_userbyid(t.typowner)::TEXT AS owner,
    format_type(t.typbasetype, t.typtypmod) AS base, t.typnotnull AS not_null,
    pg_get_expr(t.typdefaultbin, 0) AS default_expression, t.typdefault AS default_text,
    CASE WHEN t.typcollation <> b.typcollation THEN {_qualified("cn", "c.collname")} END AS collation,
    t.typname::TEXT AS raw_name, o.oid::INT8 AS not_null_oid, o.conname::TEXT AS not_null_name,
    {_named_twice("o")} AS not_null_name_twice
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_type b ON b.oid = t.typbasetype
    LEFT JOIN pg_collation c ON c.oid = t.typcollation
    LEFT JOIN pg_namespace cn ON cn.oid = c.collnamespace
    LEFT JOIN pg_constraint o ON o.contypid = t.oid AND o.contype = 'n'
WHERE t.typtype = 'd' AND {_outside("n")} AND {_free("pg_type", "t.oid")}
"""

#: From a type to the object that makes it: row types to relations, array and multirange types to theirs.
TYPES = """
SELECT t.oid::INT8, t.typrelid::INT8 AS relation, coalesce(a.oid, 0)::INT8 AS element,
    coalesce((SELECT r.rngtypid FROM pg_range r WHERE t.typtype = 'm'
        AND (to_jsonb(r) ->> 'rngmultitypid')::oid = t.oid), 0)::INT8 AS range
FROM pg_type t LEFT JOIN pg_type a ON a.typarray = t.oid
WHERE t.oid >= 16384
"""

SEQUENCES = f"""
SELECT c.oid::INT8, {_qualified("n", "c.relname")} AS name, pg_get_userbyid(c.relowner)::TEXT AS owner,
    n.nspname::TEXT AS raw_schema, c.relname::TEXT AS raw_name,
    c.relpersistence::TEXT AS persistence, format_type(s.seqtypid, NULL) AS type,
    s.seqstart AS start, s.seqincrement AS increment, s.seqmin AS minimum, s.seqmax AS maximum,
    s.seqcache AS cache, s.seqcycle AS cycle,
    d.deptype::TEXT AS ownership, d.refobjid::INT8 AS table_oid, d.refobjsubid AS column_number
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
WHERE c.relkind = 'S' AND {_outside("n")} AND {_free("pg_class", "c.oid")}
"""

FUNCTIONS = f"""
SELECT p.oid::INT8, {_qualified("n", "p.proname")} AS name, pg_get_userbyid(p.proowner)::TEXT AS owner,
    p.prokind::TEXT AS kind, oidvectortypes(p.proargtypes) AS arguments,
    pg_get_functiondef(p.oid) AS definition
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prokind <> 'a' AND {_outside("n")} AND {_free("pg_proc", "p.oid", "'e', 'i'")}
"""


def _function(column: str) -> str:
    return f"CASE WHEN a.{column} <> 0 THEN a.{column}::regproc::TEXT END AS {column}"


AGGREGATES = f"""
SELECT p.oid::INT8, {_qualified("n", "p.proname")} AS name, pg_get_userbyid(p.proowner)::TEXT AS owner,
    oidvectortypes(p.proargtypes) AS arguments, pg_get_function_arguments(p.oid) AS signature,
    p.proparallel::TEXT AS parallel, a.aggkind::TEXT AS kind,
    a.aggtransfn::regproc::TEXT AS aggtransfn, format_type(a.aggtranstype, NULL) AS aggtranstype,
    a.aggtransspace, {_function("aggfinalfn")}, a.aggfinalextra, a.aggfinalmodify::TEXT,
    {_function("aggcombinefn")}, {_function("aggserialfn")}, {_function("aggdeserialfn")},
    quote_literal(a.agginitval) AS agginitval,
    {_function("aggmtransfn")}, {_function("aggminvtransfn")},
    CASE WHEN a.aggmtranstype <> 0 THEN format_type(a.aggmtranstype, NULL) END AS aggmtranstype,
    a.aggmtransspace, {_function("aggmfinalfn")}, a.aggmfinalextra, a.aggmfinalmodify::TEXT,
    quote_literal(a.aggminitval) AS aggminitval,
    (SELECT 'OPERATOR(' || quote_ident(sn.nspname) || '.' || o.oprname || ')' FROM pg_operator o
        JOIN pg_namespace sn ON sn.oid = o.oprnamespace WHERE o.oid = a.aggsortop) AS aggsortop
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_aggregate a ON a.aggfnoid = p.oid
WHERE {_outside("n")} AND {_free("pg_proc", "p.oid")}
"""

DICTIONARIES = f"""
SELECT d.oid::INT8, {_qualified("n", "d.dictname")} AS name, pg_get_userbyid(d.dictowner)::TEXT AS owner,
    {_qualified("tn", "t.tmplname")} AS template, d.dictinitoption AS options
FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace
    JOIN pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_namespace tn ON tn.oid = t.tmplnamespace
WHERE {_outside("n")} AND {_free("pg_ts_dict", "d.oid")}
"""

CONFIGURATIONS = f"""
SELECT c.oid::INT8, {_qualified("n", "c.cfgname")} AS name, pg_get_userbyid(c.cfgowner)::TEXT AS owner,
    {_qualified("pn", "p.prsname")} AS parser,
    array(SELECT quote_ident(t.alias) || ' WITH ' ||
            string_agg(m.mapdict::regdictionary::TEXT, ', ' ORDER BY m.mapseqno)
        FROM pg_ts_config_map m JOIN ts_token_type(c.cfgparser) t ON t.tokid = m.maptokentype
        WHERE m.mapcfg = c.oid GROUP BY t.alias, m.maptokentype ORDER BY m.maptokentype) AS mappings
FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace
    JOIN pg_ts_parser p ON p.oid = c.cfgparser JOIN pg_namespace pn ON pn.oid = p.prsnamespace
WHERE {_outside("n")} AND {_free("pg_ts_config", "c.oid")}
"""

RELATIONS = f"""
SELECT c.oid::INT8, {_qualified("n", "c.relname")} AS name, pg_get_userbyid(c.relowner)::TEXT AS owner,
    n.nspname::TEXT AS raw_schema, c.relname::TEXT AS raw_name,
    c.relkind::TEXT AS kind, c.relpersistence::TEXT AS persistence, c.reltype::INT8 AS row_type,
    c.reloptions::TEXT[] AS options,
    (SELECT t.reloptions::TEXT[] FROM pg_class t WHERE t.oid = c.reltoastrelid) AS toast_options,
    (SELECT quote_ident(a.amname) FROM pg_am a WHERE a.oid = c.relam) AS access_method,
    (SELECT quote_ident(s.spcname) FROM pg_tablespace s WHERE s.oid = c.reltablespace) AS tablespace,
    c.relreplident::TEXT AS replica_identity, c.relrowsecurity AS row_security,
    c.relforcerowsecurity AS force_row_security, c.relispopulated AS populated,
    CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_key,
    c.relispartition AS is_partition, pg_get_expr(c.relpartbound, c.oid) AS bound,
    CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END AS of_type,
    CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS query,
    array(SELECT i.inhparent::INT8 FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno)
        AS parents
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'c') AND {_outside("n")} AND {_free("pg_class", "c.oid")}
"""

COLUMNS = f"""
SELECT a.attrelid::INT8 AS relation, a.attnum AS number, a.attname::TEXT AS raw_name,
    quote_ident(a.attname) AS name, format_type(a.atttypid, a.atttypmod) AS type,
    CASE WHEN a.attcollation <> t.typcollation THEN {_qualified("cn", "l.collname")} END AS collation,
    a.attnotnull AS not_null, d.oid::INT8 AS default_oid, pg_get_expr(d.adbin, d.adrelid) AS default,
    a.attgenerated::TEXT AS generated, a.attidentity::TEXT AS identity,
    CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::TEXT END AS storage,
    nullif(to_jsonb(a) ->> 'attcompression', '') AS compression,
    nullif((to_jsonb(a) ->> 'attstattarget')::INT, -1) AS statistics,
    a.attoptions::TEXT[] AS options, a.attislocal AS is_local,
    o.conname::TEXT AS not_null_name, coalesce(o.conislocal, true) AS not_null_is_local,
    coalesce(o.connoinherit, false) AS not_null_no_inherit,
    coalesce(o.convalidated, true) AS not_null_valid, o.oid::INT8 AS not_null_oid,
    {_named_twice("o")} AS not_null_name_twice
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    LEFT JOIN pg_namespace cn ON cn.oid = l.collnamespace
    LEFT JOIN pg_constraint o ON o.conrelid = a.attrelid AND o.contype = 'n' AND o.conkey = ARRAY[a.attnum]
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'c') AND {_outside("n")}
    AND {_free("pg_class", "c.oid")}
ORDER BY a.attrelid, a.attnum
"""

CONSTRAINTS = f"""
SELECT o.oid::INT8, quote_ident(o.conname) AS name, o.contype::TEXT AS type,
    o.conrelid::INT8 AS relation, o.contypid::INT8 AS domain, o.conindid::INT8 AS index,
    o.conislocal AS is_local, o.conparentid <> 0 AS has_parent, pg_get_constraintdef(o.oid) AS definition
FROM pg_constraint o JOIN pg_namespace n ON n.oid = o.connamespace
WHERE o.contype IN ('c', 'p', 'u', 'x', 'f') AND {_outside("n")} AND {_free("pg_constraint", "o.oid")}
    AND o.oid >= 16384
"""

INDEXES = f"""
SELECT i.indexrelid::INT8 AS oid, {_qualified("n", "c.relname")} AS name, i.indrelid::INT8 AS relation,
    pg_get_indexdef(i.indexrelid) AS definition, i.indisvalid AS valid, c.relkind::TEXT AS kind,
    i.indisclustered AS clustered, i.indisreplident AS replica_identity,
    (SELECT quote_ident(s.spcname) FROM pg_tablespace s WHERE s.oid = c.reltablespace) AS tablespace,
    coalesce((SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = i.indexrelid), 0)::INT8 AS parent,
    array(SELECT a.attnum || ' SET STATISTICS ' || (to_jsonb(a) ->> 'attstattarget')
        FROM pg_attribute a WHERE a.attrelid = i.indexrelid
        AND (to_jsonb(a) ->> 'attstattarget')::INT >= 0 ORDER BY a.attnum) AS statistics
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_outside("n")} AND {_free("pg_class", "i.indrelid")} AND {_free("pg_class", "i.indexrelid")}
"""

STATISTICS = f"""
SELECT s.oid::INT8, {_qualified("n", "s.stxname")} AS name, pg_get_userbyid(s.stxowner)::TEXT AS owner,
    s.stxrelid::INT8 AS relation, pg_get_statisticsobjdef(s.oid) AS definition,
    nullif((to_jsonb(s) ->> 'stxstattarget')::INT, -1) AS target
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
WHERE {_outside("n")} AND {_free("pg_statistic_ext", "s.oid")}
"""

TRIGGERS = f"""
SELECT t.oid::INT8, quote_ident(t.tgname) AS name, t.tgrelid::INT8 AS relation,
    pg_get_triggerdef(t.oid) AS definition, t.tgenabled::TEXT AS enabled
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND {_outside("n")} AND {_free("pg_class", "c.oid")}
    AND {_free("pg_trigger", "t.oid")}
"""

#: Copies of a partitioned table's trigger that are not enabled as the one they are copied from: those of
#: a table before those of its partitions, to which a change of its trigger extends.
PARTITION_TRIGGERS = f"""
WITH RECURSIVE copy AS (
    SELECT t.oid, t.oid AS original, t.tgrelid, t.tgenabled, true AS is_alike, 0 AS depth
    FROM pg_trigger t WHERE NOT t.tgisinternal AND t.tgparentid = 0
    UNION ALL
    SELECT t.oid, copy.original, t.tgrelid, t.tgenabled, t.tgenabled = copy.tgenabled, copy.depth + 1
    FROM pg_trigger t JOIN copy ON t.tgparentid = copy.oid
)
SELECT t.tgrelid::INT8 AS relation, t.original::INT8, t.tgenabled::TEXT AS enabled, t.depth
FROM copy t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.is_alike AND {_outside("n")} AND {_free("pg_class", "c.oid")}
ORDER BY t.depth, 1
"""

RULES = f"""
SELECT r.oid::INT8, quote_ident(r.rulename) AS name, r.ev_class::INT8 AS relation,
    CASE WHEN r.rulename <> '_RETURN' THEN pg_get_ruledef(r.oid) END AS definition,
    r.ev_enabled::TEXT AS enabled
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_outside("n")} AND {_free("pg_class", "c.oid")} AND {_free("pg_rewrite", "r.oid")}
"""

POLICIES = f"""
SELECT p.oid::INT8, quote_ident(p.polname) AS name, p.polrelid::INT8 AS relation,
    p.polpermissive AS permissive, p.polcmd::TEXT AS command,
    array(SELECT CASE WHEN r.id = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.id)) END
        FROM unnest(p.polroles) AS r(id) ORDER BY 1) AS roles,
    pg_get_expr(p.polqual, p.polrelid) AS using_expression,
    pg_get_expr(p.polwithcheck, p.polrelid) AS check_expression
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_outside("n")} AND {_free("pg_class", "c.oid")}
"""

EVENT_TRIGGERS = f"""
SELECT e.oid::INT8, quote_ident(e.evtname) AS name, pg_get_userbyid(e.evtowner)::TEXT AS owner,
    quote_ident(e.evtevent) AS event, e.evtfoid::regproc::TEXT AS function, e.evtenabled::TEXT AS enabled,
    array(SELECT quote_literal(x) FROM unnest(e.evttags) AS x ORDER BY 1) AS tags
FROM pg_event_trigger e WHERE {_free("pg_event_trigger", "e.oid")}
"""

COMMENTS = """
SELECT d.classoid::regclass::TEXT AS class, d.objoid::INT8 AS oid, d.objsubid AS column_number,
    quote_literal(d.description) AS text
FROM pg_description d
WHERE d.objoid >= 16384 AND NOT (d.classoid = 'pg_extension'::regclass AND EXISTS (
        -- What CREATE EXTENSION itself says of it.
        SELECT FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname
        WHERE e.oid = d.objoid AND a.comment = d.description))
    OR d.classoid = 'pg_namespace'::regclass AND d.objoid = (
        SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'public')
    AND d.description <> 'standard public schema'
"""

#: What an access control list says beyond the list its object began with: the initial one where the
#: server kept it, else the owner's default. The owner is written as 0 in both, so that lists of
#: databases with different owners compare equal.
PRIVILEGES = """
WITH object (class, oid, column_number, kind, owner, acl) AS (
    SELECT 'pg_class', c.oid, 0, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END, c.relowner, c.relacl
    FROM pg_class c WHERE c.relacl IS NOT NULL AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    UNION ALL
    SELECT 'pg_class', c.oid, a.attnum, 'c', c.relowner, a.attacl
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.attacl IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'pg_proc', p.oid, 0, 'f', p.proowner, p.proacl FROM pg_proc p WHERE p.proacl IS NOT NULL
    UNION ALL
    SELECT 'pg_type', t.oid, 0, 'T', t.typowner, t.typacl FROM pg_type t WHERE t.typacl IS NOT NULL
    UNION ALL
    SELECT 'pg_language', l.oid, 0, 'l', l.lanowner, l.lanacl FROM pg_language l WHERE l.lanacl IS NOT NULL
    UNION ALL
    SELECT 'pg_namespace', n.oid, 0, 'n', n.nspowner, n.nspacl FROM pg_namespace n
    WHERE n.nspacl IS NOT NULL AND n.nspname !~ '^pg_(temp|toast)'
), list AS (
    SELECT o.class, o.oid, o.column_number, o.kind, o.owner, o.acl, coalesce(i.initprivs,
        CASE WHEN o.kind = 'c' THEN NULL::aclitem[] ELSE acldefault(o.kind::"char", o.owner) END) AS base
    FROM object o LEFT JOIN pg_init_privs i ON i.objoid = o.oid AND i.objsubid = o.column_number
        AND i.classoid = o.class::regclass
), entry AS (
    SELECT l.class, l.oid, l.column_number, l.kind, l.owner, false AS initial,
        CASE WHEN e.grantee = l.owner THEN 10 ELSE e.grantee END AS grantee,
        e.grantee IN (l.owner, e.grantor) AS is_owner, e.privilege_type, e.is_grantable
    FROM list l, aclexplode(l.acl) e
    UNION ALL
    SELECT l.class, l.oid, l.column_number, l.kind, l.owner, true,
        CASE WHEN e.grantee = l.owner THEN 10 ELSE e.grantee END,
        e.grantee IN (l.owner, e.grantor), e.privilege_type, e.is_grantable
    FROM list l, aclexplode(l.base) e
)
SELECT class, oid::INT8, column_number, kind, pg_get_userbyid(owner)::TEXT AS owner, is_owner,
    (SELECT quote_ident(a.attname) FROM pg_attribute a
        WHERE column_number > 0 AND a.attrelid = oid AND a.attnum = column_number) AS column_name,
    CASE WHEN is_owner THEN '' WHEN grantee = 0 THEN 'PUBLIC'
        ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee,
    privilege_type AS privilege,
    max(CASE WHEN NOT initial THEN 1 + is_grantable::INT ELSE 0 END) AS now,
    max(CASE WHEN initial THEN 1 + is_grantable::INT ELSE 0 END) AS before
FROM entry
GROUP BY class, oid, column_number, kind, owner, is_owner,
    CASE WHEN is_owner THEN '' WHEN grantee = 0 THEN 'PUBLIC'
        ELSE quote_ident(pg_get_userbyid(grantee)) END, privilege_type
HAVING max(CASE WHEN NOT initial THEN 1 + (is_grantable AND NOT is_owner)::INT ELSE 0 END)
    <> max(CASE WHEN initial THEN 1 + (is_grantable AND NOT is_owner)::INT ELSE 0 END)
ORDER BY class, oid, column_number, grantee, privilege
"""


def _foreign(catalog: str, oid: str) -> str:
    """Made by initdb or by an extension: there where a printing is run, though it does not print it."""
    return f"({oid} < 16384 OR NOT {_free(catalog, oid)})"


#: Objects that have their own privileges but are not printed: the server's and its extensions'.
FOREIGN_NAMES = f"""
SELECT 'pg_class' AS class, c.oid::INT8, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
    {_qualified("n", "c.relname")} AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (c.relacl IS NOT NULL OR EXISTS (
        SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL))
    AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    AND n.nspname !~ '^pg_(temp|toast)' AND {_foreign("pg_class", "c.oid")}
UNION ALL
SELECT 'pg_proc', p.oid::INT8, CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
    {_qualified("n", "p.proname")} || '(' || oidvectortypes(p.proargtypes) || ')'
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.proacl IS NOT NULL AND {_foreign("pg_proc", "p.oid")}
UNION ALL
SELECT 'pg_type', t.oid::INT8, 'TYPE', {_qualified("n", "t.typname")}
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typacl IS NOT NULL AND {_foreign("pg_type", "t.oid")}
UNION ALL
SELECT 'pg_language', l.oid::INT8, 'LANGUAGE', quote_ident(l.lanname)
FROM pg_language l WHERE l.lanacl IS NOT NULL AND {_foreign("pg_language", "l.oid")}
UNION ALL
SELECT 'pg_namespace', n.oid::INT8, 'SCHEMA', quote_ident(n.nspname)
FROM pg_namespace n WHERE n.nspacl IS NOT NULL AND {_foreign("pg_namespace", "n.oid")}
"""

DEFAULT_PRIVILEGES = """
WITH list AS (
    SELECT d.defaclrole AS role, d.defaclnamespace AS schema, d.defaclobjtype AS type, d.defaclacl AS acl,
        CASE WHEN d.defaclnamespace <> 0 THEN NULL::aclitem[] ELSE acldefault(
            (CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype::TEXT END)::"char", d.defaclrole)
        END AS base
    FROM pg_default_acl d
), entry AS (
    SELECT l.role, l.schema, l.type, false AS initial, e.grantee, e.privilege_type, e.is_grantable
    FROM list l, aclexplode(l.acl) e
    UNION ALL
    SELECT l.role, l.schema, l.type, true, e.grantee, e.privilege_type, e.is_grantable
    FROM list l, aclexplode(l.base) e
)
SELECT pg_get_userbyid(role)::TEXT AS role, quote_ident(pg_get_userbyid(role)) AS quoted_role,
    schema::INT8 AS schema_oid, (SELECT quote_ident(n.nspname) FROM pg_namespace n WHERE n.oid = schema)
        AS schema, type::TEXT AS type, grantee = role AS is_owner,
    CASE WHEN grantee = 0 THEN 'PUBLIC' WHEN grantee = role THEN ''
        ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee,
    privilege_type AS privilege,
    max(CASE WHEN NOT initial THEN 1 + is_grantable::INT ELSE 0 END) AS now,
    max(CASE WHEN initial THEN 1 + is_grantable::INT ELSE 0 END) AS before
FROM entry
GROUP BY role, schema, type, grantee, privilege_type
HAVING max(CASE WHEN NOT initial THEN 1 + is_grantable::INT ELSE 0 END)
    <> max(CASE WHEN initial THEN 1 + is_grantable::INT ELSE 0 END)
ORDER BY 1, 4, 5, 7, 8
"""

DEPENDENCIES = """
SELECT d.classid::regclass::TEXT AS class, d.objid::INT8 AS oid, d.objsubid AS sub,
    d.refclassid::regclass::TEXT AS ref_class, d.refobjid::INT8 AS ref_oid, d.deptype::TEXT AS type
FROM pg_depend d
WHERE d.objid >= 16384 AND d.refobjid >= 16384 AND d.deptype IN ('n', 'a', 'i')
"""


def _counted(kind: str, catalog: str, name: str, more: str = "true") -> str:
    free = _free(catalog, "o.oid", "'e', 'i'")
    return (
        f"SELECT '{kind}' AS kind, {name} AS name FROM {catalog} o "
        f"WHERE o.oid >= 16384 AND {free} AND {more}"
    )


def _in_schema(column: str, namespace: str) -> str:
    return (
        f"(SELECT quote_ident(n.nspname) FROM pg_namespace n WHERE n.oid = o.{namespace}) || '.' || "
        f"quote_ident(o.{column})"
    )


OMITTED = " UNION ALL ".join(
    (
        _counted("base type", "pg_type", _in_schema("typname", "typnamespace"),
                 "o.typtype = 'b' AND o.typelem = 0"),
        _counted("operator", "pg_operator",
                 "(SELECT quote_ident(n.nspname) FROM pg_namespace n WHERE n.oid = o.oprnamespace) "
                 "|| '.' || o.oprname || '(' || format_type(nullif(o.oprleft, 0), NULL) || ', ' || "
                 "format_type(o.oprright, NULL) || ')'"),
        _counted("operator class", "pg_opclass", _in_schema("opcname", "opcnamespace")),
        _counted("operator family", "pg_opfamily", _in_schema("opfname", "opfnamespace")),
        _counted("cast", "pg_cast",
                 "'(' || format_type(o.castsource, NULL) || ' AS ' || "
                 "format_type(o.casttarget, NULL) || ')'"),
        _counted("conversion", "pg_conversion", _in_schema("conname", "connamespace")),
        _counted("text search parser", "pg_ts_parser", _in_schema("prsname", "prsnamespace")),
        _counted("text search template", "pg_ts_template", _in_schema("tmplname", "tmplnamespace")),
        _counted("foreign-data wrapper", "pg_foreign_data_wrapper", "quote_ident(o.fdwname)"),
        _counted("foreign server", "pg_foreign_server", "quote_ident(o.srvname)"),
        _counted("foreign table", "pg_class", _in_schema("relname", "relnamespace"), "o.relkind = 'f'"),
        _counted("publication", "pg_publication", "quote_ident(o.pubname)"),
        _counted("language", "pg_language", "quote_ident(o.lanname)"),
        _counted("access method", "pg_am", "quote_ident(o.amname)"),
        _counted("transform", "pg_transform",
                 "format_type(o.trftype, NULL) || ' for ' || (SELECT quote_ident(l.lanname) "
                 "FROM pg_language l WHERE l.oid = o.trflang)"),
        "SELECT 'security label', classoid::regclass::TEXT || ' ' || objoid FROM pg_seclabel",
    )
)  # fmt: skip

#: Asked in this order; the answers are known by these names.
QUESTIONS: dict[str, str] = {
    "self": SELF,
    "schemas": SCHEMAS,
    "extensions": EXTENSIONS,
    "members": EXTENSION_MEMBERS,
    "collations": COLLATIONS,
    "enums": ENUMS,
    "ranges": RANGES,
    "domains": DOMAINS,
    "types": TYPES,
    "sequences": SEQUENCES,
    "functions": FUNCTIONS,
    "aggregates": AGGREGATES,
    "dictionaries": DICTIONARIES,
    "configurations": CONFIGURATIONS,
    "relations": RELATIONS,
    "columns": COLUMNS,
    "constraints": CONSTRAINTS,
    "indexes": INDEXES,
    "statistics": STATISTICS,
    "triggers": TRIGGERS,
    "partition_triggers": PARTITION_TRIGGERS,
    "rules": RULES,
    "policies": POLICIES,
    "event_triggers": EVENT_TRIGGERS,
    "comments": COMMENTS,
    "privileges": PRIVILEGES,
    "foreign_names": FOREIGN_NAMES,
    "default_privileges": DEFAULT_PRIVILEGES,
    "dependencies": DEPENDENCIES,
    "omitted": OMITTED,
}
