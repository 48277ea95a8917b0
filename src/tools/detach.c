/* SPDX-License-Identifier: MIT */
/*
 * detach: lists what lies in shared memory and removes what nobody needs any more: by itself only
 * what is proven dead, by name what is not alive, by force what is. Nothing that this library did
 * not make is ever removed.
 *
 * The families are independent: where one is missing or refused by the system, the other is still
 * served.
 */
#include "config.h"

#include <inttypes.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "tools/common.h"
#include "tools/table.h"

#define FAMILIES_MAX 8

/* The options, and the work. */
static struct {
	int list, system, dry_run, all, force, no_headings;
	const char *columns;
	const char **names;
	size_t n_names;
	struct duoshm *family[FAMILIES_MAX];
	unsigned n_families;
	struct table *table; /* of a list, or of what was done with -J */
	uint64_t removed;
	int status; /* the first failure's */
} detach;

static void add_name(const char *name)
{
	for (size_t i = 0; i < detach.n_names; i++) {
		if (strcmp(detach.names[i], name) == 0)
			return; /* once is enough */
	}
	detach.names = tool_resize(detach.names, detach.n_names + 1, sizeof *detach.names);
	detach.names[detach.n_names++] = name;
}

static const struct tool_option options[] = {
	{'l', "list", NULL, NULL, "only show what there is", .flag = &detach.list},
	{0, "system", NULL, "--list", "also what other programs made", .flag = &detach.system},
	{0, "dry-run", NULL, "NAME, --all, plain", "only tell what would be removed",
		.flag = &detach.dry_run},
	{'n', "name", "NAME", NULL, "this object and no other; may be repeated", .act = add_name},
	{0, "all", NULL, NULL, "every object that is not alive", .flag = &detach.all},
	{0, "force", NULL, "NAME, --all", "also what is alive", .flag = &detach.force},
	{'o', "output", "COLUMNS", "--list, --json",
		"the columns, such as NAME,STATE; +WHY adds to the usual ones",
		.word = &detach.columns},
	{0, "noheadings", NULL, "--list", "no line of headings", .flag = &detach.no_headings},
	{0, "bytes", NULL, "--list", "sizes in bytes", .flag = &table_bytes_in_full},
	{.name = NULL},
};

static const struct tool_program program = {
	"Usage: %s [OPTION]... [NAME]...\n"
	"Remove what dead processes left in shared memory, in both families unless -b names one.\n",
	options, NULL};

static void failed(int status)
{
	if (detach.status == TOOL_DONE)
		detach.status = status;
}

/* ---- columns ---- */

/* add_row() sets the cells in this order. */
static const struct table_column columns[] = {
	{"NAME", "name", 0},
	{"KIND", "kind", 0},
	{"BACKEND", "backend", 0},
	{"OBJECT", "object", 0},
	{"SIZE", "size_bytes", TABLE_RIGHT},
	{"MODE", "mode", 0},
	{"OWNER", "owner", 0},
	{"PID", "pid", TABLE_RIGHT},
	{"STATE", "state", 0},
	{"ATTACHED", "attached", 0},
	{"WHY", "why", TABLE_EXTRA},
	{"ID", "id", TABLE_EXTRA},
	{"BELLSID", "bells_id", TABLE_EXTRA},
	{"FOOTPRINT", "footprint_bytes", TABLE_EXTRA | TABLE_RIGHT},
	{"BELLS", "bells", TABLE_EXTRA},
	{"BELL", "bell", TABLE_EXTRA},
	{"RESERVED", "reserved", TABLE_EXTRA},
	{"PERSISTENT", "persistent", TABLE_EXTRA},
	{"READERS", "readers", TABLE_EXTRA},
	{"KERNEL", "kernel_attached", TABLE_EXTRA},
	{"LASTPID", "last_pid", TABLE_EXTRA},
	{"CREATED", "created_ns", TABLE_EXTRA},
	{"LASTATTACH", "last_attach_ns", TABLE_EXTRA},
	{"LASTDETACH", "last_detach_ns", TABLE_EXTRA},
	{"CHANGED", "changed_ns", TABLE_EXTRA},
	{"HOLDER", "holder_pid", TABLE_EXTRA},
	{"VALUE", "value", TABLE_EXTRA},
	{"COMMAND", "command", TABLE_EXTRA},
	{"ACTION", "action", TABLE_EXTRA},
};
#define COLUMNS (sizeof columns / sizeof *columns)

#ifdef __GLIBC__
#define SEMAPHORE_PREFIX "sem."
#else
#define SEMAPHORE_PREFIX ""
#endif

/*
 * What would do the same without this program; empty where there is no object, or no such command.
 */
static void native_command(const struct duoshm_stat *object, char *text, size_t size)
{
	size_t length;

	text[0] = '\0';
	if (object->id >= 0) {
		length = (size_t)snprintf(text, size, "ipcrm -m %" PRId64, object->id);
		if (object->bells_id >= 0)
			snprintf(text + length, size - length, " -s %" PRId64, object->bells_id);
		return;
	}
#ifdef __linux__
	if (object->native[0] != '/' || !object->footprint)
		return;
	length = (size_t)snprintf(text, size, "rm /dev/shm%s", object->native);
	if (object->bells) /* glibc keeps semaphores under a prefix, musl among the segments */
		snprintf(text + length, size - length, " /dev/shm/" SEMAPHORE_PREFIX "%s.*",
			object->native + 1);
#elif defined(__FreeBSD__)
	if (object->native[0] == '/' && object->footprint)
		snprintf(text, size, "posixshmcontrol rm %s", object->native);
#endif
}

/* NULL, which is null in JSON, for an empty text. */
static const char *unless_empty(const char *text)
{
	return *text ? text : NULL;
}

static void object_cell(const struct duoshm_stat *object)
{
	char text[128];

	snprintf(text, sizeof text, "%s", object->native);
	if (object->id >= 0 && !tool.json)
		snprintf(text, sizeof text, "%s id %" PRId64, object->native, object->id);
	table_text(detach.table, unless_empty(text));
}

/* Of what cannot be read, or is not there, most would be invented. */
static int is_known(const struct duoshm_stat *object)
{
	return object->kind || object->state == DUOSHM_FOREIGN;
}

static void mode_and_owner_cells(const struct duoshm_stat *object)
{
	/* cppcheck-suppress getpwuidCalled; the program has one thread */
	const struct passwd *user = getpwuid((uid_t)object->uid);
	char text[16];

	snprintf(text, sizeof text, "%04o", object->mode);
	table_text(detach.table, is_known(object) ? text : NULL);
	snprintf(text, sizeof text, "%u", object->uid);
	table_text(detach.table, !is_known(object) ? NULL : user ? user->pw_name : text);
}

/* Ages for people, nanoseconds since the Epoch for programs. */
static void time_cell(int64_t ns)
{
	char text[TOOL_TEXT_SIZE];
	int64_t age = tool_real_time() - ns;

	if (ns > 0)
		table_integer(detach.table, ns, tool_time_text(age < 0 ? 0 : age, text));
	else
		table_text(detach.table, NULL);
}

static void add_row(const struct duoshm_stat *object, const char *action)
{
	struct table *table = detach.table;
	int known = is_known(object);
	int64_t attached = known ? (int64_t)object->attached : -1;
	char command[256];

	native_command(object, command, sizeof command);
	table_row(table);
	table_text(table, unless_empty(object->name));
	table_text(table, object->kind ? duoshm_kind_name(object->kind) : NULL);
	table_text(table, unless_empty(object->backend));
	object_cell(object);
	table_bytes(
		table, !known ? -1 : (int64_t)(object->size ? object->size : object->footprint));
	mode_and_owner_cells(object);
	table_number(table, object->creator_pid, 1);
	table_text(table, duoshm_state_name(object->state));
	table_number(
		table, object->state == DUOSHM_FOREIGN ? object->kernel_attached : attached, 0);
	table_text(table, unless_empty(object->why));
	table_number(table, object->id, 0);
	table_number(table, object->bells_id, 0);
	table_bytes(table, known ? (int64_t)object->footprint : -1);
	table_number(table, known ? (int64_t)object->bells : -1, 0);
	table_text(table, unless_empty(object->bell));
	table_text(table, !known ? NULL : object->reserved ? "reserved" : "not reserved");
	if (known)
		table_integer(table, object->persistent, object->persistent ? "yes" : "no");
	else
		table_none(table, NULL);
	table_number(table, object->readers, 0);
	table_number(table, object->kernel_attached, 0);
	table_number(table, object->last_pid, 1);
	time_cell(object->created_ns);
	time_cell(object->attached_ns);
	time_cell(object->detached_ns);
	time_cell(object->changed_ns);
	table_number(table, object->holder_pid, 1);
	table_number(table, object->value, 0);
	table_text(table, unless_empty(command));
	table_text(table, action);
}

/* ---- removing ---- */

/* "sysv 0x5d03a1f2 (id 7) scope0" */
static void describe(const struct duoshm_stat *object, char *text, size_t size)
{
	if (object->id >= 0)
		snprintf(text, size, "%s %s (id %" PRId64 ") %s", object->backend, object->native,
			object->id, object->name);
	else
		snprintf(text, size, "%s %s %s", object->backend,
			object->native[0] ? object->native : "(no object)", object->name);
}

static void tell_removed(const struct duoshm_stat *object)
{
	char what[256], command[256];

	detach.removed++;
	if (tool.json) {
		add_row(object, detach.dry_run ? "would remove" : "removed");
		return;
	}
	describe(object, what, sizeof what);
	native_command(object, command, sizeof command);
	printf("%s %s", detach.dry_run ? "would remove" : "removed", what);
	if (object->why[0])
		printf(": %s", object->why);
	if (*command)
		printf("        [%s]", command);
	putchar('\n');
}

/* Why it is not to be removed; empty: it may be. */
static void refusal(const struct duoshm_stat *object, char *text, size_t size)
{
	const char *cure = detach.force ? "" : "; --force removes it";

	text[0] = '\0';
	switch (object->state) {
	case DUOSHM_ORPHAN: return;
	case DUOSHM_FOREIGN:
		snprintf(text, size, "not made by this library: %s", object->why);
		return;
	case DUOSHM_LIVE:
		if (detach.force ||
			(object->persistent && !object->attached && object->readers != 1))
			return;
		if (object->persistent)
			snprintf(text, size, "in use: attached by %u%s", object->attached, cure);
		else
			snprintf(text, size, "alive: pid %" PRId64 "%s", object->creator_pid, cure);
		return;
	default:
		if (!detach.force)
			snprintf(text, size, "it cannot be proven dead: %s%s", object->why, cure);
	}
}

static void refuse(const struct duoshm_stat *object, const char *why)
{
	char what[256];

	describe(object, what, sizeof what);
	tool_error("%s: %s", what, why);
	if (tool.json)
		add_row(object, "refused");
	failed(TOOL_FAILED);
}

/*
 * Another object may have got the name since it was looked at. Asked last, this leaves a short
 * moment only. Who has it attached is not asked, for each of many objects.
 */
static int is_another(struct duoshm *ctx, const char *name, const struct duoshm_stat *object)
{
	struct duoshm_stat now = {.struct_size = offsetof(struct duoshm_stat, attached)};

	return duoshm_stat(ctx, name, &now) >= 0 && now.generation != object->generation;
}

static void remove_object(struct duoshm *ctx, const struct duoshm_stat *object)
{
	char why[256], name[DUOSHM_NAME_SIZE + 16];
	int code = 0;

	snprintf(name, sizeof name, "%s:%s", object->backend, object->name);
	refusal(object, why, sizeof why);
	if (!*why && is_another(ctx, name, object))
		snprintf(why, sizeof why, "another object has the name by now");
	if (*why) {
		refuse(object, why);
		return;
	}
	if (!detach.dry_run)
		code = duoshm_remove(ctx, name);
	if (code < 0)
		failed(tool_failed(name, code));
	else
		tell_removed(object);
}

/* ---- proven orphans ---- */

static int reclaimed(const struct duoshm_stat *object, void *arg)
{
	(void)arg;
	tell_removed(object);
	return 0;
}

static void reclaim(struct duoshm *ctx)
{
	int code = duoshm_reclaim(ctx, detach.dry_run ? DUOSHM_DRY_RUN : 0, reclaimed, NULL);

	if (code < 0)
		failed(tool_failed(duoshm_backend(ctx), code));
}

/* ---- all ---- */

struct objects {
	struct duoshm_stat *item;
	size_t count;
};

/* Nothing is removed during the walk. */
static int collect(const struct duoshm_stat *object, void *arg)
{
	struct objects *objects = arg;

	if (object->state == DUOSHM_ORPHAN)
		return 0;
	objects->item = tool_resize(objects->item, objects->count + 1, sizeof *object);
	objects->item[objects->count++] = *object;
	return 0;
}

static void remove_all(struct duoshm *ctx)
{
	struct objects objects = {NULL, 0};
	int code;

	reclaim(ctx);
	code = duoshm_list(ctx, 0, collect, &objects);
	if (code < 0)
		failed(tool_failed(duoshm_backend(ctx), code));
	for (size_t i = 0; i < objects.count; i++)
		remove_object(ctx, &objects.item[i]);
	free(objects.item);
}

/* ---- by name ---- */

/* Does the name say itself that it is of another family than the context's? */
static int is_elsewhere(const char *name, const struct duoshm *ctx)
{
	const char *colon = strchr(name, ':');

	for (const char *const *family = duoshm_backends(); colon && *family; family++) {
		size_t length = strlen(*family);

		if (length == (size_t)(colon - name) && strncmp(name, *family, length) == 0)
			return strcmp(*family, duoshm_backend(ctx)) != 0;
	}
	return 0;
}

struct search {
	const char *name; /* without family */
	struct duoshm_stat *found;
};

static int is_searched(const struct duoshm_stat *object, void *arg)
{
	struct search *search = arg;

	if (strcmp(object->name, search->name) != 0)
		return 0;
	*search->found = *object;
	return 1;
}

/*
 * As duoshm_stat; but an entry that is damaged, or whose object is gone, can still be taken away,
 * and only the list has it.
 */
static int look_up(struct duoshm *ctx, const char *name, struct duoshm_stat *out)
{
	const char *colon = strchr(name, ':');
	struct search search = {colon ? colon + 1 : name, out};
	int code = duoshm_stat(ctx, name, out);
	int result;

	if (code != DUOSHM_ERR_NOT_FOUND && code != DUOSHM_ERR_CORRUPT)
		return code;
	result = duoshm_list(ctx, 0, is_searched, &search);
	return result == 0 ? code : result;
}

/* `code`: NOT_FOUND, or OTHER_BACKEND, whose words say where it is. */
static void not_found(const char *name, int code)
{
	struct duoshm_stat none = DUOSHM_STAT_INIT;

	none.state = DUOSHM_UNKNOWN;
	none.id = none.bells_id = none.kernel_attached = none.value = none.readers = -1;
	snprintf(none.name, sizeof none.name, "%s", name);
	/* With more than one family, the other one was asked too. */
	if (code == DUOSHM_ERR_OTHER_BACKEND && detach.n_families == 1)
		tool_failed(name, code);
	else
		tool_error("%s: no such object", name);
	failed(TOOL_NOT_FOUND);
	if (tool.json)
		add_row(&none, "not found");
}

/* The same name may live in both families; then it is listed or removed in both. */
static void do_named(const char *name)
{
	int found = 0, code = DUOSHM_ERR_NOT_FOUND;

	for (unsigned i = 0; i < detach.n_families; i++) {
		struct duoshm_stat object = DUOSHM_STAT_INIT;

		if (is_elsewhere(name, detach.family[i]))
			continue;
		code = look_up(detach.family[i], name, &object);
		if (code == DUOSHM_ERR_NOT_FOUND || code == DUOSHM_ERR_OTHER_BACKEND)
			continue;
		found = 1;
		if (code < 0) {
			failed(tool_failed(name, code));
			if (code == DUOSHM_ERR_NAME || code == DUOSHM_ERR_NO_BACKEND)
				return;
			continue;
		}
		if (detach.list)
			add_row(&object, NULL);
		else
			remove_object(detach.family[i], &object);
	}
	if (!found)
		not_found(name, code);
}

/* ---- list ---- */

static int listed(const struct duoshm_stat *object, void *arg)
{
	(void)arg;
	add_row(object, NULL);
	return 0;
}

static void list(struct duoshm *ctx)
{
	int code = duoshm_list(ctx, detach.system ? DUOSHM_SYSTEM : 0, listed, NULL);

	if (code < 0)
		failed(tool_failed(duoshm_backend(ctx), code));
}

/* ---- families ---- */

/* A family that the system refuses holds nothing either: only who asked for it has to know. */
static void add_family(const char *name, int asked)
{
	struct duoshm *ctx;
	int code = tool_context_of(name, &ctx);

	if (code >= 0)
		detach.family[detach.n_families++] = ctx;
	else if (code == DUOSHM_ERR_UNAVAILABLE && !asked)
		tool_note("%s: %s", name, duoshm_failure()->cause);
	else
		failed(tool_failed(name, code));
}

/* All that are built unless -b names one. */
static void open_families(void)
{
	if (tool.backend && strcmp(tool.backend, "auto") != 0) {
		add_family(tool.backend, 1);
		return;
	}
	for (const char *const *family = duoshm_backends();
		*family && detach.n_families < FAMILIES_MAX; family++) {
		add_family(*family, 0);
		/* The others have the same registry: told once is enough. */
		if (detach.status != TOOL_DONE)
			return;
	}
}

static void work(void)
{
	for (size_t i = 0; i < detach.n_names; i++)
		do_named(detach.names[i]);
	if (detach.n_names)
		return;
	for (unsigned i = 0; i < detach.n_families; i++) {
		if (detach.list)
			list(detach.family[i]);
		else if (detach.all)
			remove_all(detach.family[i]);
		else
			reclaim(detach.family[i]);
	}
}

int main(int argc, char **argv)
{
	char **names = tool_begin(argc, argv, &program);

	for (; *names; names++)
		add_name(*names);
	if (detach.all && (detach.list || detach.n_names))
		tool_usage("--all: not with --list or names");
	tool_only(detach.list      ? "--list"
		  : detach.n_names ? "NAME"
		  : detach.all     ? "--all"
				   : "plain");
	detach.table = table_new(columns, COLUMNS, detach.columns, !detach.no_headings);
	open_families();
	if (detach.n_families)
		work();
	if (!detach.list && !detach.removed && !detach.n_names && detach.status == TOOL_DONE &&
		!tool.json)
		tool_note("nothing to remove");
	if (detach.list || tool.json)
		table_print(detach.table, "duoshm.objects/1", "objects");
	else
		table_free(detach.table);
	for (unsigned i = 0; i < detach.n_families; i++)
		duoshm_free(detach.family[i]);
	free(detach.names);
	return tool_end(detach.status);
}
