import type { App, Deployment, Instance, Settings } from "./api/types";

/** What a person wants to know of an app at a glance. */
export interface Status {
  label: "running" | "stopped" | "deploying" | "starting" | "failed" | "degraded" | "new" | "asleep" | "waking";
  text: string;
}

/** From the owner's wish, the newest deployment and the instances that are up. The newest deployment stands first in `deployments`. */
export function statusOf(app: App, deployments: Deployment[], instances: Instance[]): Status {
  const newest = deployments[0];
  const up = instances.filter((i) => i.state === "UP").length;
  if (newest?.state === "WIP") {
    return up > 0
      ? { label: "deploying", text: `version ${app.commitId?.slice(0, 8) ?? "?"} serves while a new one is deployed` }
      : { label: "starting", text: "the first version is on its way" };
  }
  if (app.state === "SHOULD_BE_DOWN") {
    if (newest === undefined) return { label: "new", text: "waits for its first git push" };
    if (newest.state === "FAIL") return { label: "failed", text: "the last deployment failed and nothing serves" };
    return { label: "stopped", text: "stopped by its owner" };
  }
  if (app.sleep === "asleep") return { label: "asleep", text: "nobody asks for it; the next request wakes it" };
  if (app.sleep === "waking" && up === 0) return { label: "waking", text: "a request has come, its instances start" };
  const wanted = app.instance.minInstances;
  if (up === 0) return { label: "failed", text: "no instance is up; Karreg is starting another" };
  if (up < wanted) return { label: "degraded", text: `${up} of ${wanted} instances are up` };
  const note = newest?.state === "FAIL" ? "; the last deployment failed and changed nothing" : "";
  return { label: "running", text: `${up} × ${app.instance.minFlavor.name}${note}` };
}

/** The addresses at which the app answers. */
export function addressesOf(app: App, settings: Settings): string[] {
  const usual = settings.appsScheme === "https" ? 443 : 80;
  const port = settings.appsPort === usual ? "" : `:${settings.appsPort}`;
  return app.vhosts.map(({ fqdn }) => {
    const slash = fqdn.indexOf("/");
    const host = slash < 0 ? fqdn : fqdn.slice(0, slash);
    return `${settings.appsScheme}://${host}${port}${slash < 0 ? "/" : fqdn.slice(slash)}`;
  });
}

/** "3 s", "2 min", "5 h", "4 d" from a length in milliseconds. */
export function ago(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
