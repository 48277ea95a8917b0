/* SPDX-License-Identifier: MIT */
/*
 * A device in virtual time, with clients in this process and in others. A client that waits for an
 * answer is a child; the parent steps the device until the child has ended.
 */
#ifndef DUOSHM_TESTS_SERVED_H
#define DUOSHM_TESTS_SERVED_H

#include "device/server_state.h"
#include "duoshm/device.h"
#include "harness/fixture.h"

extern struct duoshm *ctx;
extern struct duoshm__setup setup;
extern struct duoshm__server *server;
extern struct duoshm_device *device; /* a client of it; in a child, the child's */
extern const char *directory;        /* of the registry; NULL: the program's own */

/* A context, and the setup of a device named "device"; virtual time begins. */
void prepare(const char *wave, const char *rate);
/* The device of that setup: CREATED, REPLACED, or why not. */
int new_server(void);
/* It is there, and has a client. */
void start(void);
void connect_to_it(void);
/* All of that, and the first frame. */
void begin(const char *wave, const char *rate);
void end(void);

/* One step, after so much virtual time; until when the device could sleep. */
int64_t step(int64_t later);
/* Steps the device, real time and a bit more of the virtual one, until the child ends well. */
void serve(pid_t child, int64_t later);
/* A register's value. */
int64_t integer_of(const char *name);
/* The reply to a command has that in it. */
void says(const char *line, const char *wanted);

/* In a child: with a context of its own; its parent steps the device until it has ended. */
void begin_client(void);
int end_client(void);

#endif
