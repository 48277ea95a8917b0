/* SPDX-License-Identifier: MIT */
/*
 * A lock that survives its holder. A child takes the lock, begins to change the data, and is
 * killed. The next taker is told (DUOSHM_OWNER_DEAD), mends the data, and goes on: nobody hangs.
 *
 * Argument: the object's name (default: example).
 */
#include <duoshm.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, duoshm_failure()->cause);
	return 1;
}

static void holder(const char *name)
{
	struct duoshm *ctx;
	struct duoshm_lock *lock;
	if (duoshm_new(NULL, &ctx) == 0 && duoshm_lock_open(ctx, name, 0, 5000000000, &lock) >= 0 &&
		duoshm_lock_acquire(lock, 5000000000) == 0)
		kill(getpid(), SIGKILL); /* in the middle of its work */
	_exit(1);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "example";
	struct duoshm *ctx;
	struct duoshm_lock *lock;

	pid_t child = fork();
	if (child == 0)
		holder(name);
	if (child < 0 || duoshm_new(NULL, &ctx) < 0 ||
		duoshm_lock_create(ctx, name, NULL, &lock) < 0)
		return fail("create");
	waitpid(child, NULL, 0);
	int got = duoshm_lock_acquire(lock, 5000000000);
	if (got < 0)
		return fail("acquire");
	puts(got == DUOSHM_OWNER_DEAD ? "the last holder died: mending the data" : "taken");
	duoshm_lock_release(lock); /* says that the data are in order */
	duoshm_remove(ctx, name);
	duoshm_lock_close(lock);
	return duoshm_free(ctx) < 0 || got != DUOSHM_OWNER_DEAD;
}
