# SPDX-License-Identifier: Apache-2.0
# Two mounts of one model, each with edits of its own (-o staging=DIR), commit at the same time: exactly one wins, the other hears
# ESTALE or EBUSY, keeps its edits, and the file is the winner's, whole. WEIGHTFS_RACE_ROUNDS makes it more rounds.
import threading

from wfs import *

requires("fuse")
ROUNDS = int(os.environ.get("WEIGHTFS_RACE_ROUNDS", "25"))
wins = {"left": 0, "right": 0}
for number in range(ROUNDS):
    save("m.safetensors", {"left": ("U8", [5000], bytes(5000)), "right": ("U8", [5000], bytes(5000))})
    mounts = {side: Mount("m.safetensors", side, "-o", f"staging={side}.edits") for side in wins}
    for side, m in mounts.items():
        write(m.staged(side), bytes([number % 255 + 1]) * 5000)
    barrier = threading.Barrier(2)
    answers = {}

    def commit(side):
        barrier.wait()
        answers[side] = mounts[side].control("commit")

    threads = [threading.Thread(target=commit, args=(side,)) for side in mounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [side for side, answer in answers.items() if answer == 0]
    equal((len(winners), set(answers.values()) <= {0, "ESTALE", "EBUSY"}), (1, True), f"round {number}: one winner of {answers}")
    winner = winners[0]
    loser = "right" if winner == "left" else "left"
    wins[winner] += 1
    tensors = parse("m.safetensors")[1]
    equal((set(tensors[winner][2]), set(tensors[loser][2])), ({number % 255 + 1}, {0}), "the file")
    equal(mounts[loser].changes(), {loser: "replaced"}, "the loser's edits")
    equal(read(mounts[loser].staged(loser))[:1], bytes([number % 255 + 1]), "the loser's bytes")
    for m in mounts.values():
        pid = m.pid()
        m.umount("--discard")
        wait_for(lambda: has_ended(pid), "the daemon's end", 30)
print(wins)
