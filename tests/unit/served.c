/* SPDX-License-Identifier: MIT */
/* A device in virtual time, and its clients; see the header. */
#include "config.h"

#include "core/clock.h"
#include "unit/served.h"

struct duoshm *ctx;
struct duoshm__setup setup;
struct duoshm__server *server;
struct duoshm_device *device;
const char *directory;

static struct duoshm *of_parent;
static int64_t now;

void prepare(const char *wave, const char *rate)
{
	ctx = context_of(harness_backend(), directory);
	duoshm__setup_init(&setup);
	EXPECT(duoshm__setup_set(&setup, "name", harness_name("device")), 0);
	EXPECT(duoshm__setup_set(&setup, "wave", wave), 0);
	EXPECT(duoshm__setup_set(&setup, "rate", rate), 0);
	now = duoshm__now();
}

void connect_to_it(void)
{
	OK(duoshm_device_connect(ctx, harness_name("device"), 10 * SECOND, &device));
}

int64_t step(int64_t later)
{
	now += later;
	return duoshm__server_step(server, now);
}

int new_server(void)
{
	return duoshm__server_new(ctx, &setup, now, &server);
}

void start(void)
{
	CHECK_FATAL(new_server() >= 0);
	connect_to_it();
}

void begin(const char *wave, const char *rate)
{
	prepare(wave, rate);
	start();
	step(0);
}

void end(void)
{
	duoshm_device_disconnect(device);
	duoshm__server_free(server);
	server = NULL;
	end_context(ctx);
}

int64_t integer_of(const char *name)
{
	struct duoshm_value value = {0};
	int index = duoshm_device_find(device, name);

	CHECK(index >= 0);
	EXPECT(duoshm_device_read(device, (unsigned)index, &value), 0);
	return value.integer;
}

void says(const char *line, const char *wanted)
{
	char reply[DUOSHM_REPLY_SIZE];

	duoshm__server_command(server, line, reply);
	EXPECT_PART(reply, wanted);
}

void begin_client(void)
{
	of_parent = ctx; /* where a leak checker finds it */
	(void)duoshm_device_disconnect(device);
	ctx = context_of(harness_backend(), directory);
	connect_to_it();
}

int end_client(void)
{
	EXPECT(duoshm_device_disconnect(device), 0);
	return duoshm_free(ctx);
}

void serve(pid_t child, int64_t later)
{
	int64_t until = duoshm__now() + 30 * SECOND;

	while (duoshm__now() < until) {
		siginfo_t info = {0};

		step(later);
		if (waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
			info.si_pid)
			break;
		duoshm__server_wait(server, MS);
	}
	EXPECT(harness_wait(child), 0);
}
