# SPDX-License-Identifier: Apache-2.0
# help CODE for every rule of rules.def, help VERB and VERB --help for every verb that help lists; wrong words get the right one.
import re
from wfs import *

rules = re.findall(r'^RULE\(\w+, "(\w+)", \w+, \w+, "([^"]*)"', read(os.environ["WEIGHTFS_SOURCE"] + "/include/weightfs/rules.def").decode(), re.M)
equal(len(rules) > 40, True, "rules found")
for name, sentence in rules:
    contains(weightfs("help", name).out, f"{name}: {sentence}.\n", "section ")
contains(weightfs("help", "invalidoffset").out, "InvalidOffset")

listing = weightfs("help").out
verbs = re.findall(r"^  ([a-z]+) {2,}", listing, re.M)
for verb in "mount umount status check commit discard ls inspect cat extract pack verify repair selftest help version".split():
    contains(" ".join(verbs), verb)
for verb in verbs:
    text = weightfs("help", verb).out
    contains(text, f"weightfs {verb}")
    equal(weightfs(verb, "--help").out, text, f"{verb} --help")
    equal(weightfs(verb, "-h").out, text, f"{verb} -h")
    if verb not in ("help", "version"):
        one_sentence(weightfs(verb, "--no-such-option", code=2).err)
equal(weightfs("--help").out, listing, "--help")
equal(weightfs("--version").out, weightfs("version").out, "--version")

for said, meant in (("lss", "ls"), ("comit", "commit"), ("list", "ls"), ("unpack", "extract"), ("validate", "verify"), ("unmount", "umount")):
    contains(one_sentence(weightfs(said, "x", code=2).err), f"'{said}' is no verb. Did you mean 'weightfs {meant}'?")
contains(one_sentence(weightfs("frobnicate", code=2).err), "'weightfs help' lists them")
one_sentence(weightfs(code=2).err)
contains(one_sentence(weightfs("help", "comit", code=2).err), "weightfs help commit")
