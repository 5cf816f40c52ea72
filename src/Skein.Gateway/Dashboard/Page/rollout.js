// Brings all replicas of 'skein up' to a revision, one after the other: drain, restart, wait, short answers, next. It stops at the first problem. The page
// keeps no state: replicas that are at the revision already are left alone, so that a rollout that was stopped can be begun again.

const PERIOD_MS = 500;
const GRACE_SECONDS = 30;
const DRAIN_MS = 10 * 60 * 1000;
const RESTART_MS = 2 * 60 * 1000;

const pause = () => new Promise(resolve => setTimeout(resolve, PERIOD_MS));

// ask(path, body) returns the parsed answer and throws an error with the gateway's words; without a body it is a GET. say(text) shows progress.
export async function rollout(revision, ask, say) {
  const replicas = (await ask("/admin/v1/members")).filter(member => member.role === "replica" && member.state !== "left" && member.revision !== revision);
  const away = replicas.find(replica => replica.state !== "alive");
  if (away) throw new Error(`${away.name} is ${away.state}`);
  if (replicas.length === 0) return 0;
  // Before anything is drained.
  for (const replica of replicas) {
    if (!(await ask(pathOf(replica))).restartable)
      throw new Error(`${replica.name} does not run under 'skein up': use skein rollout --command`);
  }
  for (const [index, replica] of replicas.entries()) {
    const where = `${replica.name} (${index + 1} of ${replicas.length})`;
    say(`${where}: draining`);
    await ask(`${pathOf(replica)}/drain`, { graceSeconds: GRACE_SECONDS });
    await until(DRAIN_MS, async () => (await ask(pathOf(replica))).inFlight === 0, async () => {
      await ask(`${pathOf(replica)}/undrain`, {});
      return `${where}: its streams did not end within ${DRAIN_MS / 60000} minutes; it takes work again`;
    });
    say(`${where}: restarting`);
    await ask(`${pathOf(replica)}/restart`, { revision });
    await until(RESTART_MS, async () => {
      const now = (await ask("/admin/v1/members")).find(member => member.name === replica.name);
      return now && now.state === "alive" && now.generation !== replica.generation && now.revision === revision && !now.draining;
    }, () => `${where}: it is not back at revision ${revision} within ${RESTART_MS / 60000} minutes`);
    say(`${where}: answering`);
    await ask(`${pathOf(replica)}/probe`, {});
  }
  return replicas.length;
}

function pathOf(replica) {
  return `/admin/v1/replicas/${encodeURIComponent(replica.name)}`;
}

async function until(milliseconds, isDone, problem) {
  const deadline = performance.now() + milliseconds;
  while (!await isDone()) {
    if (performance.now() > deadline) throw new Error(await problem());
    await pause();
  }
}
