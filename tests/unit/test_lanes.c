/* SPDX-License-Identifier: MIT */
/*
 * The device's lanes, in virtual time, once per family: those of the dead, of a device that is no
 * more, of hostile clients and of other users.
 */
#include "config.h"

#include "core/clock.h"
#include "device/lane_layout.h"
#include "unit/served.h"

static int give_commands(void *arg)
{
	struct duoshm_value value;
	char reply[DUOSHM_REPLY_SIZE];

	(void)arg;
	begin_client();
	unsigned period = (unsigned)duoshm_device_find(device, "period");
	EXPECT(duoshm_device_write(device, period, "250ms", 10 * SECOND), 0);
	EXPECT(duoshm_device_read(device, period, &value), 0);
	CHECK(value.real == 0.25 && value.alarm == DUOSHM_ALARM_NONE);
	EXPECT(duoshm_device_write(device, period, "-1", 10 * SECOND), DUOSHM_ERR_REFUSED);
	EXPECT_PART(duoshm_failure()->cause, "beyond its limits");
	EXPECT(duoshm_device_write(device, 0, "1", 10 * SECOND), DUOSHM_ERR_REFUSED);
	EXPECT(duoshm_device_write(device, 999, "1", 10 * SECOND), DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_device_command(device, "set NO=1", NULL, 0, 10 * SECOND),
		DUOSHM_ERR_NOT_FOUND);
	EXPECT(duoshm_device_command(device, "get PERIOD", reply, sizeof reply, 10 * SECOND), 0);
	EXPECT_TEXT(reply, "PERIOD 0.25 s");
	return end_client();
}

static unsigned lanes(void)
{
	return count_kind(ctx, DUOSHM_KIND_LANE);
}

static const char *lane_name(unsigned tag)
{
	static char name[DUOSHM_NAME_SIZE];

	snprintf(name, sizeof name, "%s.%08x", harness_name("device"), tag);
	return name;
}

/* What a client makes, but not published yet. */
static struct duoshm_segment *make_lane(const char *name, size_t size, unsigned mode)
{
	struct duoshm_create options = create_with(DUOSHM_UNPUBLISHED, DUOSHM__LANE_BELLS);
	struct duoshm_segment *lane = NULL;

	options.kind = DUOSHM_KIND_LANE;
	options.mode = mode;
	OK(duoshm_segment_create(ctx, name, size, &options, &lane));
	return lane;
}

/* The device's id is in its header. */
static void address_to_device(struct duoshm_segment *lane)
{
	struct duoshm__lane_header *head = duoshm_segment_data(lane);
	struct duoshm_segment *view = open_segment(ctx, "device", DUOSHM_READ_ONLY);

	head->magic = DUOSHM__LANE_MAGIC;
	head->layout = DUOSHM__LANE_LAYOUT;
	memcpy(&head->device_id, (char *)duoshm_segment_data(view) + 48, 8);
	end_segment(view);
}

/* In a child: begins a lane, and gets as far as `flags` says. */
enum { NAMED, HALF_BUILT, PUBLISHED };
static int begin_a_lane(void *arg)
{
	struct helper *helper = arg;
	struct duoshm_segment *lane = NULL;
	const char *name = lane_name(helper->flags);
	char path[600];

	begin_client();
	snprintf(path, sizeof path, "%s/%s@%s", duoshm_directory(ctx), name, harness_backend());
	if (helper->flags == NAMED)
		CHECK(close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600)) == 0);
	else
		lane = make_lane(name, duoshm__lane_bytes(), 0600);
	if (helper->flags == PUBLISHED)
		OK(duoshm_segment_publish(lane));
	return helper_stays(helper);
}

static void lanes_are_removed_wherever_their_clients_died(void)
{
	struct helper helper;

	if (has_no_room_for_lanes())
		return;
	begin("counter", "10Hz");
	for (unsigned how = NAMED; how <= PUBLISHED; how++) {
		start_helper(&helper, begin_a_lane, NULL, how);
		kill_helper(&helper);
		EXPECT(harness_entries(duoshm_directory(ctx)), 2);
		for (int i = 0; i < 3; i++)
			step(SECOND);
		EXPECT(harness_entries(duoshm_directory(ctx)), 1);
	}
	end();
}

/* ---- another device in its place ---- */

static int serve_until_killed(void *helper)
{
	prepare("counter", "100Hz");
	CHECK_FATAL(new_server() >= 0);
	harness_gate_open(&((struct helper *)helper)->ready);
	while (!duoshm__server_over(server)) {
		duoshm__server_step(server, duoshm__now());
		duoshm__server_wait(server, MS);
	}
	return 0;
}

/* The connection leads to nobody, and none of its calls changes that. */
static void is_gone(int how)
{
	struct duoshm_block block;

	/* What it sent before comes first. */
	while (duoshm_device_next(device, LONG_TIME, &block) == 0)
		continue;
	EXPECT(duoshm_device_next(device, LONG_TIME, &block), how);
	EXPECT(duoshm_device_command(device, "status", NULL, 0, LONG_TIME), how);
	EXPECT(duoshm_device_check(device), how);
}

static void is_connected_again(void)
{
	struct duoshm_block block = {0};

	EXPECT(duoshm_device_next(device, 0, &block), DUOSHM_ERR_PEER_DEAD);
	EXPECT(duoshm_device_check(device), DUOSHM_REPLACED);
	EXPECT(duoshm_device_check(device), 0);
	EXPECT(duoshm_device_capture_next(device, 0, &block), DUOSHM_ERR_INVALID);
	step(SECOND);
	EXPECT(duoshm_device_next(device, LONG_TIME, &block), 0);
	CHECK(block.frames > 0 && block.missed == 0);
	EXPECT(lanes(), 0);
}

static void connections_go_over_to_the_next_device(void)
{
	struct helper first;
	struct duoshm_block block;

	if (has_no_room_for_lanes())
		return;
	start_helper(&first, serve_until_killed, NULL, 0);
	prepare("counter", "10Hz");
	connect_to_it();
	OK(duoshm_device_follow(device));
	OK(duoshm_device_capture(device, 0, LONG_TIME));
	OK(duoshm_device_next(device, LONG_TIME, &block));
	kill_helper(&first);
	while (duoshm_device_capture_next(device, LONG_TIME, &block) == 0)
		continue;
	EXPECT(duoshm_failure()->code, DUOSHM_ERR_PEER_DEAD);
	is_gone(DUOSHM_ERR_PEER_DEAD);
	EXPECT_FATAL(new_server(), DUOSHM_REPLACED);
	is_connected_again();
	EXPECT(duoshm__server_free(server), 0);
	is_gone(DUOSHM_ERR_REMOVED);
	EXPECT_FATAL(new_server(), DUOSHM_CREATED);
	EXPECT(duoshm_device_check(device), DUOSHM_REPLACED);
	end();
}

enum { NOTHING, HEADER, ALL_BUT_THE_ID };

/* A lane by hand, as far as `right` says; `fill` is what all other bytes are. */
static void bad_lane(unsigned tag, size_t size, int right, int fill)
{
	struct duoshm_segment *lane = make_lane(lane_name(tag), size, 0600);

	memset(duoshm_segment_data(lane), fill, size);
	if (right != NOTHING)
		address_to_device(lane);
	if (right == ALL_BUT_THE_ID) {
		EXPECT(duoshm__lane_format(lane), 0);
		((struct duoshm__lane_header *)duoshm_segment_data(lane))->device_id ^= 1;
	}
	EXPECT(duoshm_segment_publish(lane), 0);
	end_segment(lane);
}

static void bad_lanes_are_cut_off(void)
{
	size_t size = duoshm__lane_bytes();

	if (has_no_room_for_lanes())
		return;
	begin("counter", "10Hz");
	bad_lane(0, 64, NOTHING, 0);
	bad_lane(1, size, NOTHING, 0);
	bad_lane(2, size, HEADER, 0);
	bad_lane(3, size, HEADER, 0xff);
	bad_lane(4, size, HEADER, 0x40);
	bad_lane(5, size, ALL_BUT_THE_ID, 0);
	for (int i = 0; i < 5; i++)
		step(10 * SECOND);
	EXPECT(integer_of("CLIENTS"), 0);
	EXPECT(integer_of("FRAMES"), 501);
	serve(harness_fork(give_commands, NULL), 1000); /* others are served */
	for (unsigned i = 0; i < 6; i++)
		EXPECT(duoshm_remove(ctx, lane_name(i)), 0);
	step(10 * SECOND);
	end();
}

/* The samples do not wait for them. */
static void a_crowd_of_lanes_is_taken_up_bit_by_bit(void)
{
	/* macOS has 32 segments in all */
	unsigned crowd = harness_profile("macos-arm64") ? 24 : 40;

	if (has_no_room_for_lanes())
		return;
	begin("counter", "10Hz");
	for (unsigned i = 0; i < crowd; i++)
		bad_lane(i, 64, NOTHING, 0);
	step(10 * SECOND);
	CHECK(server->lanes.count > 0 && server->lanes.count < crowd);
	for (int i = 0; i < 3; i++)
		step(MS);
	EXPECT(server->lanes.count, crowd);
	for (unsigned i = 0; i < crowd; i++)
		EXPECT(duoshm_remove(ctx, lane_name(i)), 0);
	step(10 * SECOND);
	EXPECT(server->lanes.count, 0);
	end();
}

/* ---- other users ---- */

#define NOBODY 65534
#define MEMBER 77 /* a group that the device is of */

/* Who is not root, or has no room for lanes, cannot try it. */
static bool is_hindered(void)
{
	if (geteuid() != 0)
		harness_skip("only root can become somebody else");
	return geteuid() != 0 || has_no_room_for_lanes();
}

/* A registry for all users, with a device of root's and that mode. */
static void begin_shared(const char *mode, mode_t directory_mode)
{
	directory = harness_path("shared");
	EXPECT(chmod(harness_scratch_dir(), 0711), 0);
	OK(mkdir(directory, 0700));
	EXPECT(chown(directory, 0, directory_mode & S_ISGID ? MEMBER : 0), 0);
	EXPECT(chmod(directory, directory_mode), 0);
	umask(0);
	prepare("sine", "10Hz");
	EXPECT(duoshm__setup_set(&setup, "mode", mode), 0);
	EXPECT(setegid(MEMBER), 0);
	start();
	EXPECT(setegid(0), 0);
	step(0);
}

static void end_shared(void)
{
	EXPECT(lanes(), 0);
	end();
	umask(022);
	harness_remove_tree(directory);
	directory = NULL;
}

struct stranger {
	uid_t uid;
	gid_t gid;
	int wanted; /* what its calls give */
};

static int command_as(void *arg)
{
	const struct stranger *as = arg;

	OK(setgid(as->gid));
	OK(setuid(as->uid));
	begin_client();
	EXPECT(duoshm_device_command(device, "set PERIOD=5", NULL, 0, 10 * SECOND), as->wanted);
	EXPECT(duoshm_device_capture(device, 1, 10 * SECOND), as->wanted);
	if (as->wanted)
		EXPECT_PART(duoshm_failure()->cause, "this is user 65534, group ");
	return end_client();
}

static void commands_take_write_permission(void)
{
	static const struct {
		const char *mode;
		mode_t directory;
		int stranger, member;
	} all[] = {
		{"0644", 01777, DUOSHM_ERR_PERMISSION, DUOSHM_ERR_PERMISSION},
		{"0664", 01777, DUOSHM_ERR_PERMISSION, 0},
		/* where the directory gives everybody its group, the group proves nothing */
		{"0664", 03777, DUOSHM_ERR_PERMISSION, DUOSHM_ERR_PERMISSION},
		{"0666", 01777, 0, 0},
	};

	if (is_hindered())
		return;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct stranger stranger = {NOBODY, NOBODY, all[i].stranger};
		struct stranger member = {NOBODY, MEMBER, all[i].member};

		begin_shared(all[i].mode, all[i].directory);
		serve(harness_fork(command_as, &stranger), 1000);
		serve(harness_fork(command_as, &member), 1000);
		step(10 * SECOND);
		end_shared();
	}
}

/*
 * A lane as it should be with a command in it, made by hand: nobody asks this client whether it
 * may.
 */
static int command_by_hand(void *helper)
{
	struct duoshm_queue *queue[DUOSHM__LANE_QUEUES] = {0};
	struct duoshm__command exit = {.serial = 1, .op = DUOSHM__OP_LINE, .line = "exit"};
	uid_t uid = (uid_t)((struct helper *)helper)->number;

	OK(setgid(uid));
	OK(setuid(uid));
	begin_client();
	struct duoshm_segment *lane = make_lane(lane_name(7), duoshm__lane_bytes(), 0666);
	address_to_device(lane);
	OK(duoshm__lane_format(lane));
	OK(duoshm__lane_attach(lane, DUOSHM_PRODUCER, queue));
	OK(duoshm_queue_send(queue[DUOSHM__COMMANDS], &exit,
		offsetof(struct duoshm__command, line) + strlen(exit.line), 0));
	OK(duoshm_segment_publish(lane));
	EXPECT(helper_stays(helper), 0);
	EXPECT(duoshm_remove(ctx, lane_name(7)), 0);
	duoshm__lane_detach(queue);
	end_segment(lane);
	return end_client();
}

static void lanes_of_strangers_are_left_alone(void)
{
	if (is_hindered())
		return;
	for (int as_root = 0; as_root < 2; as_root++) {
		struct helper helper = {.number = as_root ? 0 : NOBODY};

		begin_shared("0664", 01777);
		start_helper(&helper, command_by_hand, NULL, 0);
		for (int i = 0; i < 5; i++)
			step(10 * SECOND);
		EXPECT(duoshm__server_over(server), as_root);
		finish_helper(&helper);
		end_shared();
	}
}
static const struct harness_case cases[] = {
	{"lanes are removed wherever their clients died",
		lanes_are_removed_wherever_their_clients_died},
	{"connections go over to the next device", connections_go_over_to_the_next_device},
	{"bad lanes are cut off", bad_lanes_are_cut_off},
	{"a crowd of lanes is taken up bit by bit", a_crowd_of_lanes_is_taken_up_bit_by_bit},
	{"commands and captures take write permission", commands_take_write_permission},
	{"lanes of strangers are left alone", lanes_of_strangers_are_left_alone},
	{NULL, NULL},
};

int main(int argc, char **argv)
{
	return harness_run_each(argc, argv, "lanes", cases);
}
