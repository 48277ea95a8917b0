/* SPDX-License-Identifier: MIT */
/*
 * detach: lists what lies in shared memory and removes what nobody needs any more: by itself only what is proven
 * dead, by name what is not alive, by force what is. Nothing that this library did not make is ever removed.
 *
 * The families are independent: where one is missing or refused by the system, the other is still served.
 */
#include "config.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "tools/common.h"
#include "tools/table.h"

/* clang-format off */
static const char usage[] =
	"Usage: %s [OPTION]... [NAME]...\n"
	"Remove what dead processes left in shared memory, in both families unless -b names one.\n"
	"\n"
	"  -l, --list            only show what there is\n"
	"      --system          list: also what other programs made\n"
	"      --dry-run         only tell what would be removed\n"
	"  -n, --name=NAME       this object and no other; may be repeated\n"
	"      --all             every object that is not alive\n"
	"      --force           with a name or --all: also what is alive\n"
	"  -o, --output=COLUMNS  list: the columns, such as NAME,STATE; +WHY adds to the usual ones\n"
	"      --noheadings      list: no line of headings\n"
	"      --bytes           list: sizes in bytes\n"
	"\n" TOOL_COMMON_HELP;
/* clang-format on */

enum {
	OPTION_SYSTEM = TOOL_OWN_OPTION,
	OPTION_DRY_RUN,
	OPTION_ALL,
	OPTION_FORCE,
	OPTION_NO_HEADINGS,
	OPTION_BYTES
};

static const struct option long_options[] = {{"list", no_argument, NULL, 'l'},
	{"system", no_argument, NULL, OPTION_SYSTEM},
	{"dry-run", no_argument, NULL, OPTION_DRY_RUN}, {"name", required_argument, NULL, 'n'},
	{"all", no_argument, NULL, OPTION_ALL}, {"force", no_argument, NULL, OPTION_FORCE},
	{"output", required_argument, NULL, 'o'},
	{"noheadings", no_argument, NULL, OPTION_NO_HEADINGS},
	{"bytes", no_argument, NULL, OPTION_BYTES}, TOOL_LONG_OPTIONS, {NULL, 0, NULL, 0}};

#define FAMILIES_MAX 8

struct detach {
	int list, system, dry_run, all, force, no_headings;
	const char *columns;
	const char **names;
	size_t n_names;
	struct duoshm *family[FAMILIES_MAX];
	unsigned n_families;
	struct table *table; /* of a list, or of what was done with -J */
	uint64_t removed;
	int status; /* the first failure's */
};

static void failed(struct detach *detach, int status)
{
	if (detach->status == TOOL_DONE)
		detach->status = status;
}

/* ---- columns ---- */

enum {
	C_NAME,
	C_KIND,
	C_BACKEND,
	C_OBJECT,
	C_SIZE,
	C_MODE,
	C_OWNER,
	C_PID,
	C_STATE,
	C_ATTACHED,
	C_WHY,
	C_ID,
	C_BELLS_ID,
	C_FOOTPRINT,
	C_BELLS,
	C_BELL,
	C_RESERVED,
	C_PERSISTENT,
	C_READERS,
	C_KERNEL,
	C_LAST_PID,
	C_CREATED,
	C_LAST_ATTACH,
	C_LAST_DETACH,
	C_CHANGED,
	C_HOLDER,
	C_VALUE,
	C_COMMAND,
	C_ACTION,
	COLUMNS
};

static const struct table_column columns[COLUMNS] = {{"NAME", "name", 0}, {"KIND", "kind", 0},
	{"BACKEND", "backend", 0}, {"OBJECT", "object", 0}, {"SIZE", "size_bytes", TABLE_RIGHT},
	{"MODE", "mode", 0}, {"OWNER", "owner", 0}, {"PID", "pid", TABLE_RIGHT},
	{"STATE", "state", 0}, {"ATTACHED", "attached", 0}, {"WHY", "why", TABLE_EXTRA},
	{"ID", "id", TABLE_EXTRA}, {"BELLSID", "bells_id", TABLE_EXTRA},
	{"FOOTPRINT", "footprint_bytes", TABLE_EXTRA | TABLE_RIGHT},
	{"BELLS", "bells", TABLE_EXTRA}, {"BELL", "bell", TABLE_EXTRA},
	{"RESERVED", "reserved", TABLE_EXTRA}, {"PERSISTENT", "persistent", TABLE_EXTRA},
	{"READERS", "readers", TABLE_EXTRA}, {"KERNEL", "kernel_attached", TABLE_EXTRA},
	{"LASTPID", "last_pid", TABLE_EXTRA}, {"CREATED", "created_ns", TABLE_EXTRA},
	{"LASTATTACH", "last_attach_ns", TABLE_EXTRA},
	{"LASTDETACH", "last_detach_ns", TABLE_EXTRA}, {"CHANGED", "changed_ns", TABLE_EXTRA},
	{"HOLDER", "holder_pid", TABLE_EXTRA}, {"VALUE", "value", TABLE_EXTRA},
	{"COMMAND", "command", TABLE_EXTRA}, {"ACTION", "action", TABLE_EXTRA}};

#ifdef __GLIBC__
#define SEMAPHORE_PREFIX "sem."
#else
#define SEMAPHORE_PREFIX ""
#endif

/* What would do the same without this program; empty where there is no object, or no such command. */
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

static void owner_cell(struct table *table, const struct duoshm_stat *object)
{
	/* cppcheck-suppress getpwuidCalled; the program has one thread */
	const struct passwd *user = getpwuid((uid_t)object->uid);

	if (user)
		table_text(table, C_OWNER, "%s", user->pw_name);
	else
		table_text(table, C_OWNER, "%u", object->uid);
}

/* Ages for people, nanoseconds since the Epoch for programs. */
static void time_cell(struct table *table, unsigned column, int64_t ns)
{
	char text[TOOL_TEXT_SIZE];
	int64_t age = tool_real_time() - ns;

	if (ns > 0)
		table_integer(table, column, ns, tool_time_text(age < 0 ? 0 : age, text));
}

static void number_cell(struct table *table, unsigned column, int64_t value)
{
	if (value >= 0)
		table_integer(table, column, value, NULL);
}

static void identity_cells(struct table *table, const struct duoshm_stat *object)
{
	if (object->name[0])
		table_text(table, C_NAME, "%s", object->name);
	if (object->kind)
		table_text(table, C_KIND, "%s", duoshm_kind_name(object->kind));
	table_text(table, C_BACKEND, "%s", object->backend);
	if (object->id >= 0 && !tool.json)
		table_text(table, C_OBJECT, "%s id %" PRId64, object->native, object->id);
	else if (object->native[0])
		table_text(table, C_OBJECT, "%s", object->native);
	table_text(table, C_MODE, "%04o", object->mode);
	owner_cell(table, object);
	if (object->creator_pid > 0)
		number_cell(table, C_PID, object->creator_pid);
	table_text(table, C_STATE, "%s", duoshm_state_name(object->state));
	if (object->why[0])
		table_text(table, C_WHY, "%s", object->why);
}

static void detail_cells(struct table *table, const struct duoshm_stat *object)
{
	number_cell(table, C_ID, object->id);
	number_cell(table, C_BELLS_ID, object->bells_id);
	table_bytes(table, C_FOOTPRINT, object->footprint);
	table_integer(table, C_BELLS, object->bells, NULL);
	if (object->bell[0])
		table_text(table, C_BELL, "%s", object->bell);
	table_text(table, C_RESERVED, "%s", object->reserved ? "reserved" : "not reserved");
	table_integer(table, C_PERSISTENT, object->persistent, object->persistent ? "yes" : "no");
	number_cell(table, C_READERS, object->readers);
	number_cell(table, C_KERNEL, object->kernel_attached);
	if (object->last_pid > 0)
		number_cell(table, C_LAST_PID, object->last_pid);
	time_cell(table, C_CREATED, object->created_ns);
	time_cell(table, C_LAST_ATTACH, object->attached_ns);
	time_cell(table, C_LAST_DETACH, object->detached_ns);
	time_cell(table, C_CHANGED, object->changed_ns);
	if (object->holder_pid > 0)
		number_cell(table, C_HOLDER, object->holder_pid);
	number_cell(table, C_VALUE, object->value);
}

static void add_row(struct detach *detach, const struct duoshm_stat *object, const char *action)
{
	struct table *table = detach->table;
	char command[256];

	table_row(table);
	identity_cells(table, object);
	table_bytes(table, C_SIZE, object->size ? object->size : object->footprint);
	if (object->state == DUOSHM_FOREIGN)
		number_cell(table, C_ATTACHED, object->kernel_attached);
	else
		table_integer(table, C_ATTACHED, object->attached, NULL);
	detail_cells(table, object);
	native_command(object, command, sizeof command);
	if (*command)
		table_text(table, C_COMMAND, "%s", command);
	if (action)
		table_text(table, C_ACTION, "%s", action);
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

static void tell_removed(struct detach *detach, const struct duoshm_stat *object)
{
	char what[256], command[256];

	detach->removed++;
	if (tool.json) {
		add_row(detach, object, detach->dry_run ? "would remove" : "removed");
		return;
	}
	describe(object, what, sizeof what);
	native_command(object, command, sizeof command);
	printf("%s %s", detach->dry_run ? "would remove" : "removed", what);
	if (object->why[0])
		printf(": %s", object->why);
	if (*command)
		printf("        [%s]", command);
	putchar('\n');
}

/* Why it is not to be removed; empty: it may be. */
static void refusal(
	const struct detach *detach, const struct duoshm_stat *object, char *text, size_t size)
{
	const char *cure = detach->force ? "" : "; --force removes it";

	text[0] = '\0';
	switch (object->state) {
	case DUOSHM_ORPHAN: return;
	case DUOSHM_FOREIGN:
		snprintf(text, size, "not made by this library: %s", object->why);
		return;
	case DUOSHM_LIVE:
		if (detach->force ||
			(object->persistent && !object->attached && object->readers != 1))
			return;
		if (object->persistent)
			snprintf(text, size, "in use: attached by %u%s", object->attached, cure);
		else
			snprintf(text, size, "alive: pid %" PRId64 "%s", object->creator_pid, cure);
		return;
	default:
		if (!detach->force)
			snprintf(text, size, "it cannot be proven dead: %s%s", object->why, cure);
	}
}

static void refuse(struct detach *detach, const struct duoshm_stat *object, const char *why)
{
	char what[256];

	describe(object, what, sizeof what);
	tool_error("%s: %s", what, why);
	if (tool.json)
		add_row(detach, object, "refused");
	failed(detach, TOOL_FAILED);
}

static void remove_object(
	struct detach *detach, struct duoshm *ctx, const struct duoshm_stat *object)
{
	char why[256], name[DUOSHM_NAME_SIZE + 16];
	int code = 0;

	refusal(detach, object, why, sizeof why);
	if (*why) {
		refuse(detach, object, why);
		return;
	}
	snprintf(name, sizeof name, "%s:%s", object->backend, object->name);
	if (!detach->dry_run)
		code = duoshm_remove(ctx, name);
	if (code < 0)
		failed(detach, tool_failed(name, code));
	else
		tell_removed(detach, object);
}

/* ---- proven orphans ---- */

static int reclaimed(const struct duoshm_stat *object, void *arg)
{
	tell_removed(arg, object);
	return 0;
}

static void reclaim(struct detach *detach, struct duoshm *ctx)
{
	int code = duoshm_reclaim(ctx, detach->dry_run ? DUOSHM_DRY_RUN : 0, reclaimed, detach);

	if (code < 0)
		failed(detach, tool_failed(duoshm_backend(ctx), code));
}

/* ---- all ---- */

struct objects {
	struct duoshm_stat *item;
	size_t count, room;
};

/* Nothing is removed during the walk. */
static int collect(const struct duoshm_stat *object, void *arg)
{
	struct objects *objects = arg;

	if (object->state == DUOSHM_ORPHAN)
		return 0;
	if (objects->count == objects->room) {
		size_t room = objects->room ? 2 * objects->room : 16;
		struct duoshm_stat *more = tool_allocate(room, sizeof *more);

		if (objects->count)
			memcpy(more, objects->item, objects->count * sizeof *more);
		free(objects->item);
		objects->item = more;
		objects->room = room;
	}
	objects->item[objects->count++] = *object;
	return 0;
}

static void remove_all(struct detach *detach, struct duoshm *ctx)
{
	struct objects objects = {NULL, 0, 0};
	int code;

	reclaim(detach, ctx);
	code = duoshm_list(ctx, 0, collect, &objects);
	if (code < 0)
		failed(detach, tool_failed(duoshm_backend(ctx), code));
	for (size_t i = 0; i < objects.count; i++)
		remove_object(detach, ctx, &objects.item[i]);
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

/* The same name may live in both families; then it is removed from both. */
static void remove_named(struct detach *detach, const char *name)
{
	int found = 0;

	for (unsigned i = 0; i < detach->n_families; i++) {
		struct duoshm_stat object = DUOSHM_STAT_INIT;
		int code;

		if (is_elsewhere(name, detach->family[i]))
			continue;
		code = duoshm_stat(detach->family[i], name, &object);
		if (code == DUOSHM_ERR_NOT_FOUND || code == DUOSHM_ERR_OTHER_BACKEND)
			continue;
		found = 1;
		if (code < 0) {
			failed(detach, tool_failed(name, code));
			if (code == DUOSHM_ERR_NAME || code == DUOSHM_ERR_NO_BACKEND)
				return;
			continue;
		}
		remove_object(detach, detach->family[i], &object);
	}
	if (!found) {
		tool_error("%s: no such object", name);
		failed(detach, TOOL_NOT_FOUND);
	}
}

/* ---- list ---- */

static int listed(const struct duoshm_stat *object, void *arg)
{
	add_row(arg, object, NULL);
	return 0;
}

static void list(struct detach *detach, struct duoshm *ctx)
{
	int code = duoshm_list(ctx, detach->system ? DUOSHM_SYSTEM : 0, listed, detach);

	if (code < 0)
		failed(detach, tool_failed(duoshm_backend(ctx), code));
}

/* ---- families ---- */

/* A family that the system refuses holds nothing either: only who asked for it has to know. */
static void add_family(struct detach *detach, const char *name, int asked)
{
	struct duoshm *ctx;
	int code;
	int status = tool_context_of(name, &ctx, &code);

	if (status == TOOL_DONE)
		detach->family[detach->n_families++] = ctx;
	else if (code == DUOSHM_ERR_UNAVAILABLE && !asked)
		tool_note("%s: %s", name, duoshm_failure()->cause);
	else
		failed(detach, tool_failed(name, code));
}

/* All that are built unless -b names one. */
static void open_families(struct detach *detach)
{
	if (tool.backend && strcmp(tool.backend, "auto") != 0) {
		add_family(detach, tool.backend, 1);
		return;
	}
	for (const char *const *family = duoshm_backends();
		*family && detach->n_families < FAMILIES_MAX; family++) {
		add_family(detach, *family, 0);
		/* The others have the same registry: told once is enough. */
		if (detach->status != TOOL_DONE)
			return;
	}
}

static void work(struct detach *detach)
{
	for (size_t i = 0; i < detach->n_names; i++)
		remove_named(detach, detach->names[i]);
	if (detach->n_names)
		return;
	for (unsigned i = 0; i < detach->n_families; i++) {
		if (detach->list)
			list(detach, detach->family[i]);
		else if (detach->all)
			remove_all(detach, detach->family[i]);
		else
			reclaim(detach, detach->family[i]);
	}
}

/* ---- options ---- */

static void option(struct detach *detach, int letter, const char *text)
{
	switch (letter) {
	case 'l': detach->list = 1; break;
	case 'n': detach->names[detach->n_names++] = text; break;
	case 'o': detach->columns = text; break;
	case OPTION_SYSTEM: detach->system = 1; break;
	case OPTION_DRY_RUN: detach->dry_run = 1; break;
	case OPTION_ALL: detach->all = 1; break;
	case OPTION_FORCE: detach->force = 1; break;
	case OPTION_NO_HEADINGS: detach->no_headings = 1; break;
	case OPTION_BYTES: table_bytes_in_full = 1; break;
	default: tool_option(letter, text);
	}
}

static void check_options(const struct detach *detach)
{
	if (detach->list && (detach->n_names || detach->all || detach->force || detach->dry_run))
		tool_usage("--list only shows: no names, --all, --force or --dry-run with it");
	if (detach->system && !detach->list)
		tool_usage("--system: only with --list; what others made is not removed");
	if (detach->force && !detach->n_names && !detach->all)
		tool_usage("--force: say what, with --name=NAME or --all");
	if (detach->all && detach->n_names)
		tool_usage("--all: no names with it");
	if ((detach->columns || detach->no_headings) && !detach->list && !tool.json)
		tool_usage("--output and --noheadings: only with --list");
}

static void make_table(struct detach *detach)
{
	detach->table = table_new(columns, COLUMNS);
	if (detach->columns)
		table_choose(detach->table, detach->columns);
	if (detach->no_headings)
		table_no_headings(detach->table);
}

int main(int argc, char **argv)
{
	struct detach detach = {.names = NULL};
	int letter;

	tool_begin(argv, usage);
	detach.names = tool_allocate((size_t)argc, sizeof *detach.names);
	while ((letter = getopt_long(argc, argv, "ln:o:" TOOL_SHORT_OPTIONS, long_options, NULL)) !=
		-1)
		option(&detach, letter, optarg);
	while (optind < argc)
		detach.names[detach.n_names++] = argv[optind++];
	check_options(&detach);
	make_table(&detach);
	open_families(&detach);
	if (detach.n_families)
		work(&detach);
	if (detach.list || tool.json)
		table_print(detach.table, "duoshm.objects/1", "objects");
	else if (!detach.removed && !detach.n_names && detach.status == TOOL_DONE)
		tool_note("nothing to remove");
	if (!detach.list && !tool.json)
		table_free(detach.table);
	for (unsigned i = 0; i < detach.n_families; i++)
		duoshm_free(detach.family[i]);
	free(detach.names);
	return tool_end(detach.status);
}
