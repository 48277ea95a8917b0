/* SPDX-License-Identifier: MIT */
/*
 * A running device: its object, its registers and signals, its clients. It does nothing by itself:
 * the program calls step() when the time that the last step named is over, or something has rung.
 *
 * Time comes in from outside (monotonic nanoseconds), so that a test can run a day in a second.
 */
#ifndef DUOSHM_DEVICE_SERVER_H
#define DUOSHM_DEVICE_SERVER_H

#include "device/describe.h"

struct duoshm__server;

/*
 * CREATED or REPLACED; as duoshm_segment_create, duoshm__replay_open; INVALID: the description
 * makes no sense. `setup` is copied.
 */
int duoshm__server_new(struct duoshm *ctx, const struct duoshm__setup *setup, int64_t now,
	struct duoshm__server **out);
/*
 * Removes what is left of the device's object, and gives its clients up. 0, or as
 * duoshm_segment_remove. NULL is fine.
 */
int duoshm__server_free(struct duoshm__server *server);

/* Does all that is due. Nanoseconds until something is due again, at most 100 ms. */
int64_t duoshm__server_step(struct duoshm__server *server, int64_t now);
/* Sleeps that long, or until a client rings or a signal comes. */
void duoshm__server_wait(struct duoshm__server *server, int64_t ns);
/*
 * 0: go on. 1: told to exit, or the replay was to be played once and is over. REMOVED: by somebody
 * else. CORRUPT: the replay failed.
 */
int duoshm__server_over(const struct duoshm__server *server);

/*
 * Does what a line says: start, stop, config, set, get, status, help, exit. The answer's text goes
 * into `reply`, one or more lines, no newline at the end. 0; INVALID, NOT_FOUND: `reply` says why.
 */
int duoshm__server_command(
	struct duoshm__server *server, const char *line, char reply[DUOSHM_REPLY_SIZE]);

/* With its family: "posix:scope0". */
const char *duoshm__server_name(const struct duoshm__server *server);

#endif
