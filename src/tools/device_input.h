/* SPDX-License-Identifier: MIT */
/*
 * Where the device's operator speaks: scripts (with sleep and source), the prompt at a terminal, or
 * a pipe. None ever waits: a script that sleeps is asked again later, and prompt and pipe are read
 * when something has come.
 */
#ifndef DUOSHM_TOOLS_DEVICE_INPUT_H
#define DUOSHM_TOOLS_DEVICE_INPUT_H

#include <stdint.h>

#include "device/server.h"

/* Opens a script; TOOL_DONE, or reported. */
int input_script(const char *path);
/*
 * Shows the prompt if there is a terminal and this process is in its foreground. A pipe, a socket
 * or a file at standard input is read without one; its end does not end the device.
 */
void input_begin(struct duoshm__server *server);
/*
 * Does the script's lines that are due. Result: a TOOL_ status; anything but TOOL_DONE ends the
 * device.
 */
int input_run(struct duoshm__server *server, int64_t now);
/* Waits for clients, for scripts that sleep and for input; does what the last says. */
void input_wait(struct duoshm__server *server, int64_t ns);
/* Leaves the terminal as it was. */
void input_end(void);

#endif
