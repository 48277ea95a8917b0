/* SPDX-License-Identifier: MIT */
/*
 * Objects of other programs: a segment made with ipcmk, and one by the small program bare_shm; adopted, read, written, and
 * shown as foreign. Here alone a test knows the families' own names.
 */
#include "config.h"

#include "harness/fixture.h"

/* Runs a program with up to two arguments; its output, cut to `size`. Its exit status. */
static int output_of(const char *path, const char *one, const char *two, char *text, size_t size)
{
	FILE *file = tmpfile();

	CHECK_FATAL(file != NULL);
	int status = harness_wait(harness_spawn(fileno(file), path, one, two, (char *)NULL));
	rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
	return status;
}

struct found {
	const char *native;
	int64_t id;
	int state, times;
};

static int look_for(const struct duoshm_stat *object, void *argument)
{
	struct found *found = argument;

	if (strcmp(object->native, found->native) != 0 && object->id != found->id)
		return 0;
	found->state = object->state;
	found->times++;
	return 0;
}

static void writes_and_reads(struct duoshm *ctx, const char *native, size_t size)
{
	struct duoshm_segment *segment = NULL, *reader = NULL;

	OK(duoshm_segment_adopt(ctx, native, 0, &segment));
	CHECK(duoshm_segment_size(segment) >= size);
	strcpy((char *)duoshm_segment_data(segment) + size - 16, "written by us");
	OK(duoshm_segment_adopt(ctx, native, DUOSHM_READ_ONLY, &reader));
	EXPECT_TEXT((char *)duoshm_segment_data(reader) + size - 16, "written by us");
	end_segment(segment);
	end_segment(reader);
}

static void is_foreign(struct duoshm *ctx, const char *native, int64_t id)
{
	struct found found = {.native = native, .id = id};

	EXPECT(duoshm_list(ctx, DUOSHM_SYSTEM, look_for, &found), 0);
	CHECK(found.times == 1 && found.state == DUOSHM_FOREIGN);
	found.times = 0;
	EXPECT(duoshm_list(ctx, 0, look_for, &found), 0);
	EXPECT(duoshm_reclaim(ctx, 0, NULL, NULL), 0);
	EXPECT(found.times, 0);
}

static void made_by_ipcmk(void)
{
	char text[200], native[64];

	if (strcmp(harness_backend(), "sysv") != 0)
		HARNESS_SKIP("System V");
	int status = output_of("ipcmk", "-M", "8192", text, sizeof(text));
	const char *colon = strchr(text, ':');

	if (status == 127)
		HARNESS_SKIP("no ipcmk");
	EXPECT(status, 0);
	CHECK_FATAL(colon != NULL);
	int id = atoi(colon + 1);
	struct duoshm *ctx = new_context();
	snprintf(native, sizeof(native), "sysv:id:%d", id);
	writes_and_reads(ctx, native, 8192);
	is_foreign(ctx, "", id);
	snprintf(text, sizeof(text), "%d", id);
	EXPECT(harness_wait(harness_spawn(-1, "ipcrm", "-m", text, (char *)NULL)), 0);
	struct duoshm_segment *segment = NULL;
	EXPECT(duoshm_segment_adopt(ctx, native, 0, &segment), DUOSHM_ERR_NOT_FOUND);
	end_context(ctx);
}

static void made_by_bare_calls(void)
{
	char name[80], native[100], text[100];
	const char *program = harness_program("tests/process/bare_shm");

	if (strcmp(harness_backend(), "posix") != 0)
		HARNESS_SKIP("POSIX");
	snprintf(name, sizeof(name), "/%s", harness_name("bare"));
	snprintf(native, sizeof(native), "posix:%s", name);
	OK(output_of(program, "make", name, text, sizeof(text)));
	struct duoshm *ctx = new_context();
	writes_and_reads(ctx, native, 8192);
	EXPECT(output_of(program, "tail", name, text, sizeof(text)), 0);
	EXPECT_TEXT(text, "written by us");
	is_foreign(ctx, name, -2);
	EXPECT(output_of(program, "remove", name, text, sizeof(text)), 0);
	struct duoshm_segment *segment = NULL;
	EXPECT(duoshm_segment_adopt(ctx, native, 0, &segment), DUOSHM_ERR_NOT_FOUND);
	end_context(ctx);
}

static const struct harness_case cases[] = {
	{"a segment made with ipcmk is adopted", made_by_ipcmk},
	{"a segment made with bare shm_open is adopted", made_by_bare_calls},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "adopt", cases);
}
