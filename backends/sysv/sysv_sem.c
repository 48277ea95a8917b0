/* SPDX-License-Identifier: MIT */
/*
 * System V bells: one set of semaphores under the segment's key (sets and segments have name spaces
 * of their own).
 *
 * Traps. What a new set holds is indeterminate by the standard, so it is set, and one semop makes
 * sem_otime non-zero: that is how others tell a set that is initialised. union semun is declared by
 * some systems only: ours has another tag, and is passed by value. semtimedop is Linux's and
 * illumos's; elsewhere waiting is polling. A set that is removed wakes its sleepers with EIDRM,
 * later calls get EINVAL. macOS does not check a value's overflow: after 65536 rings that nobody
 * took it starts from 0, which costs a sleeper one slice. At most 5 operations to one semop
 * (macOS): here one or two.
 */
#include "config.h"

#include "backends/sysv/sysv.h"

#include <sys/sem.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct duoshm__bells {
	int id;
	unsigned n;
};

union argument {
	int value;
	struct semid_ds *status;
	unsigned short *values;
};

static struct sembuf operation(unsigned bell, int change, int flags)
{
	return (struct sembuf){
		.sem_num = (unsigned short)bell, .sem_op = (short)change, .sem_flg = (short)flags};
}

static int get(key_t key)
{
	return semget(key, 0, 0);
}

static int64_t id_of(const struct duoshm__native *native)
{
	return native->bells_id;
}

static const struct duoshm__sysv_space sets = {
	.get_name = "semget",
	.one = "set of semaphores",
	.all = "semaphores",
	.get = get,
	.id = id_of,
	.blame = duoshm__sysv_blame_set,
};

/* All 0, and sem_otime set. 0, or an errno and the call that it is of. */
static int initialise(int id, const char **call)
{
	unsigned short zeros[DUOSHM_BELLS_MAX] = {0};
	union argument argument;
	struct sembuf up_and_down[2];

	argument.values = zeros;
	*call = "semctl SETALL";
	if (semctl(id, 0, SETALL, argument) < 0)
		return errno;
	up_and_down[0] = operation(0, 1, IPC_NOWAIT);
	up_and_down[1] = operation(0, -1, IPC_NOWAIT);
	*call = "semop";
	while (semop(id, up_and_down, 2) < 0)
		if (errno != EINTR)
			return errno;
	return 0;
}

int duoshm__sysv_bells_create(struct duoshm__native *native, unsigned n, unsigned mode,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	unsigned set_mode = duoshm__bell_mode(mode);
	struct duoshm__bells *bells = malloc(sizeof *bells);
	const char *call;
	key_t key;
	int id, result = 0;

	if (bells == NULL)
		return duoshm__native_failure(why, DUOSHM_ERR_NO_SPACE, ENOMEM, "malloc");
	duoshm__sysv_key(native, &key);
	id = semget(key, (int)n, IPC_CREAT | IPC_EXCL | (int)set_mode);
	if (id >= 0)
		result = initialise(id, &call);
	if (id >= 0 && result == 0) {
		*bells = (struct duoshm__bells){.id = id, .n = n};
		native->bells_id = id;
		*out = bells;
		return 0;
	}
	if (id < 0) {
		duoshm__sysv_fail_create(&sets, errno, native, n, set_mode, why);
	} else {
		duoshm__native_failure(why, duoshm__sysv_code(result), result, "%s(%d)", call, id);
		if (result == E2BIG)
			duoshm__sysv_blame_set(why, n);
		semctl(id, 0, IPC_RMID);
	}
	free(bells);
	return why->code;
}

int duoshm__sysv_bells_open(const struct duoshm__native *native, unsigned n,
	struct duoshm__bells **out, struct duoshm_failure *why)
{
	struct duoshm__bells *bells;
	int id = duoshm__sysv_find(&sets, native);

	if (id < 0)
		return duoshm__sysv_fail_call(&sets, errno, native, "semget", -1, why);
	if (native->bells_id >= 0 && native->bells_id != id)
		return duoshm__sysv_gone(&sets, 0, native, why);
	bells = malloc(sizeof *bells);
	if (bells == NULL)
		return duoshm__native_failure(why, DUOSHM_ERR_NO_SPACE, ENOMEM, "malloc");
	*bells = (struct duoshm__bells){.id = id, .n = n};
	*out = bells;
	return 0;
}

int64_t duoshm__sysv_bells_uid(const struct duoshm__native *native, unsigned n)
{
	struct semid_ds status;
	union argument argument;
	int id = n > 0 ? duoshm__sysv_find(&sets, native) : -1;

	argument.status = &status;
	if (id < 0)
		return n > 0 && errno == EACCES ? DUOSHM__UID_UNTOLD : DUOSHM__UID_NONE;
	if (semctl(id, 0, IPC_STAT, argument) < 0)
		return DUOSHM__UID_UNTOLD;
	return (int64_t)status.sem_perm.uid;
}

void duoshm__sysv_bells_close(struct duoshm__bells *bells)
{
	free(bells);
}

/* Of a call on an open set: what its error means to the caller. */
static int outcome(int system_error)
{
	switch (system_error) {
	case EAGAIN: return DUOSHM_ERR_TIMEOUT;
	case EINTR: return DUOSHM_ERR_INTERRUPTED;
	case EIDRM:
	case EINVAL:
	case EFBIG: /* the id is another's by now, of a smaller set */ return DUOSHM_ERR_REMOVED;
	case EACCES:
	case EPERM: return DUOSHM_ERR_PERMISSION;
	default: return DUOSHM_ERR_SYSTEM;
	}
}

static int fail_operation(int system_error, const char *call, const struct duoshm__bells *bells,
	unsigned bell, int change, struct duoshm_failure *why)
{
	duoshm__native_failure(why, outcome(system_error), system_error, "%s(%d, {%u, %+d})", call,
		bells->id, bell, change);
	if (why->code == DUOSHM_ERR_REMOVED)
		duoshm__native_cause(why, "the set of semaphores %d was removed", bells->id);
	return why->code;
}

int duoshm__sysv_ring(struct duoshm__bells *bells, unsigned bell, struct duoshm_failure *why)
{
	struct sembuf up = operation(bell, 1, IPC_NOWAIT);

	if (bell >= bells->n)
		return duoshm__no_such_bell(why, "semop", bell, bells->n);
	while (semop(bells->id, &up, 1) < 0) {
		/* Full of rings that nobody took: one more would tell nothing new. */
		if (errno == ERANGE)
			return 0;
		if (errno != EINTR)
			return fail_operation(errno, "semop", bells, bell, 1, why);
	}
	return 0;
}

#ifdef HAVE_SEMTIMEDOP

#define WAIT_CALL "semtimedop"

/* 0 or an errno, as the other one. */
static int take(const struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns)
{
	struct sembuf down = operation(bell, -1, timeout_ns == 0 ? IPC_NOWAIT : 0);
	struct timespec timeout = duoshm__timespec(timeout_ns);

	return semtimedop(bells->id, &down, 1, &timeout) == 0 ? 0 : errno;
}

#else

#define WAIT_CALL "semop"

struct attempt {
	int id;
	struct sembuf down;
};

static int attempt(void *arg)
{
	struct attempt *one = arg;

	return semop(one->id, &one->down, 1) == 0 ? 0 : errno;
}

static int take(const struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns)
{
	struct attempt one = {bells->id, operation(bell, -1, IPC_NOWAIT)};

	return duoshm__native_poll(attempt, &one, timeout_ns);
}

#endif

int duoshm__sysv_wait(
	struct duoshm__bells *bells, unsigned bell, int64_t timeout_ns, struct duoshm_failure *why)
{
	int system_error;

	if (bell >= bells->n)
		return duoshm__no_such_bell(why, WAIT_CALL, bell, bells->n);
	system_error = take(bells, bell, timeout_ns);
	return system_error == 0 ? 0
				 : fail_operation(system_error, WAIT_CALL, bells, bell, -1, why);
}

static int remove_set(int id, const struct duoshm__native *native, struct duoshm_failure *why)
{
	if (semctl(id, 0, IPC_RMID) == 0 || duoshm__sysv_is_gone(errno))
		return 0;
	return duoshm__sysv_fail_call(&sets, errno, native, "semctl IPC_RMID", id, why);
}

int duoshm__sysv_remove_bells(const struct duoshm__native *native, struct duoshm_failure *why)
{
	int id = native->bells_id < 0 ? -1 : duoshm__sysv_find(&sets, native);

	/* No id was recorded, or the key is another's by now: there is nothing of ours. */
	if (native->bells_id < 0 || (id >= 0 && id != native->bells_id))
		return 0;
	if (id < 0 && !duoshm__sysv_is_gone(errno))
		return duoshm__sysv_fail_call(&sets, errno, native, "semget", -1, why);
	return id < 0 ? 0 : remove_set(id, native, why);
}

/*
 * A set tells less than a segment: no creator's pid, no memory. It is the dead creator's if it has
 * the right count and maker, and either stands beside a segment that is, or is the one on record,
 * or was killed in the making (nobody ever used it) with no segment of others beside it.
 */
int duoshm__sysv_reap_bells(const struct duoshm__native *native, unsigned n, int whose,
	const struct duoshm__native_stat *segment, struct duoshm_failure *why)
{
	struct semid_ds status;
	union argument argument;
	int id = duoshm__sysv_find(&sets, native);
	int64_t maker = whose == DUOSHM__OURS ? segment->uid : (int64_t)geteuid();
	bool ours;

	argument.status = &status;
	if (n == 0)
		return 0;
	if (id < 0 || semctl(id, 0, IPC_STAT, argument) < 0)
		return errno == EACCES || duoshm__sysv_is_gone(errno)
			       ? 0
			       : duoshm__sysv_fail_call(
					 &sets, errno, native, "semctl IPC_STAT", id, why);
	ours = whose == DUOSHM__OURS || id == native->bells_id ||
	       (whose == DUOSHM__ABSENT && status.sem_otime == 0);
	if (!ours || status.sem_nsems != n || (int64_t)status.sem_perm.uid != maker)
		return 0;
	return remove_set(id, native, why);
}
