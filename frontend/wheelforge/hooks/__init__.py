"""How a hook is run: in a fresh process, spawned or forked, whose every variable is known.

The runner is what `pyproject_hooks` calls a runner, so the files that a hook and its caller
exchange stay that package's own. Spawned and forked hooks have in common:

- The hook leads a session of its own; its input is null, both its outputs are one pipe.
- It ends by itself, by its time limit, by `cancel` from any thread, by an exception in the thread
  that waits for it (Ctrl-C is one), or by the death of this process, however sudden. In each case
  everything it has started ends with it: asked first, killed after the grace. On Linux that holds
  for daemons too; elsewhere what has left the session or group of the hook is not found.
- A status other than zero is an error that is `CalledProcessError` as well, as other users of that
  protocol expect. What a backend says by way of files (no such hook, no such backend) is status 0.

A forked hook differs from a spawned one only in what `tests/fork_equals_fresh/differences.toml`
lists, each with its reason. Both differ on purpose from a hook that a shell has started: they lead
a session and a process group of their own and have no terminal, so that no Ctrl-C reaches them and
all that they start can be found; they are killed when the process that watches over them dies; and
their variables are only those that are given.

Nothing finds processes that another service was asked to start, or that another user owns. Where
this process itself forks (`multiprocessing` can), its copies must end too before its hooks do.
"""
