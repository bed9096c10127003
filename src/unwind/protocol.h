/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What corefold-unwind and the one who starts it agree on.
 *
 *   corefold-unwind --memory=live|core [--threads=N] [--time=MS] [--module=FD:START]...
 *
 * fd 0 and 2 are /dev/null, fd 1 is the pipe that the answer goes to, 3 is the head of the
 * core, 4 its memory, 5 and up the modules. START is a hexadecimal
 * address inside the module. The answer is one JSON object and a newline, of which it has
 * none within: who has read that far need not wait for the program's end. No answer and an
 * exit status other than 0 is a failure.
 */

#define PROTOCOL_HEAD_FD 3
#define PROTOCOL_MEMORY_FD 4
#define PROTOCOL_MODULE_FD 5
#define PROTOCOL_MODULES_MAX 256

/* Bounds on what comes back. */
#define PROTOCOL_ANSWER_END '\n'
#define PROTOCOL_ANSWER_MAX (16u << 20) /* bytes */
#define PROTOCOL_TIME_MAX_MS 60000
#define PROTOCOL_TIME_DEFAULT_MS 5000
#define PROTOCOL_VERSION 1
