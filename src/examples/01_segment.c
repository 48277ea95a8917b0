/* SPDX-License-Identifier: MIT */
/*
 * A segment between two processes: one makes it, fills it and publishes it; the other waits for it
 * to come into being and reads. Run it as it is, or with DUOSHM_BACKEND=sysv and =posix: it prints
 * the same.
 *
 * Argument: the object's name (default: example).
 */
#include <duoshm.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
	const struct duoshm_failure *f = duoshm_failure();
	fprintf(stderr, "%s: %s%s%s\n", what, f->cause, f->cure[0] ? "; " : "", f->cure);
	return 1;
}

/* Opens the name before or after it exists: the timeout covers the order of start. */
static int reader(const char *name)
{
	struct duoshm *ctx;
	struct duoshm_segment *segment;
	if (duoshm_new(NULL, &ctx) < 0)
		return fail("reader");
	if (duoshm_segment_open(ctx, name, DUOSHM_READ_ONLY, 5000000000, &segment) < 0)
		return fail("reader");
	printf("read: %s (%zu bytes)\n", (const char *)duoshm_segment_data(segment),
		duoshm_segment_size(segment));
	duoshm_segment_close(segment);
	return duoshm_free(ctx) < 0;
}

static int writer(const char *name, pid_t child)
{
	struct duoshm *ctx;
	struct duoshm_segment *segment;
	struct duoshm_create options = DUOSHM_CREATE_INIT;
	int status = 1;

	options.flags = DUOSHM_UNPUBLISHED; /* nobody sees it half filled */
	if (duoshm_new(NULL, &ctx) < 0 ||
		duoshm_segment_create(ctx, name, 100, &options, &segment) < 0)
		return fail("writer");
	strcpy(duoshm_segment_data(segment), "hello from another process");
	if (duoshm_segment_publish(segment) < 0)
		return fail("writer");
	waitpid(child, &status, 0);
	duoshm_remove(ctx, name);
	duoshm_segment_close(segment);
	return duoshm_free(ctx) < 0 || status != 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "example";
	/* Fork first, then open: a child does not inherit its parent's handles. */
	pid_t child = fork();
	if (child == 0)
		return reader(name);
	return child < 0 || writer(name, child);
}
