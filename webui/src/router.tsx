import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

/** Pages of the console and the paths that name them. */
export type Route =
  | { page: "apps" }
  | { page: "hosts" }
  | { page: "cli-login"; token: string; version: string }
  | { page: "app"; id: string; deployment?: string };

export function parseRoute(path: string, search = ""): Route {
  if (path === "/cli-oauth") {
    const query = new URLSearchParams(search);
    return { page: "cli-login", token: query.get("cli_token") ?? "", version: query.get("cli_version") ?? "" };
  }
  if (/^\/console\/hosts\/?$/.test(path)) return { page: "hosts" };
  const match = /^\/console\/apps\/([^/]+)(?:\/deployments\/([^/]+))?\/?$/.exec(path);
  if (match?.[1] === undefined) return { page: "apps" };
  const id = decodeURIComponent(match[1]);
  return match[2] === undefined ? { page: "app", id } : { page: "app", id, deployment: decodeURIComponent(match[2]) };
}

export function pathOf(route: Route): string {
  if (route.page === "apps") return "/console/";
  if (route.page === "hosts") return "/console/hosts";
  if (route.page === "cli-login") return `/cli-oauth?${new URLSearchParams({ cli_version: route.version, cli_token: route.token })}`;
  const app = `/console/apps/${encodeURIComponent(route.id)}`;
  return route.deployment === undefined ? app : `${app}/deployments/${encodeURIComponent(route.deployment)}`;
}

export function navigate(route: Route): void {
  history.pushState(null, "", pathOf(route));
  dispatchEvent(new PopStateEvent("popstate"));
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.pathname, location.search));
  useEffect(() => {
    const update = () => setRoute(parseRoute(location.pathname, location.search));
    addEventListener("popstate", update);
    return () => removeEventListener("popstate", update);
  }, []);
  return route;
}

/** A link that stays inside the console, and an ordinary one for a new tab. */
export function Link({ to, children }: { to: Route; children: ComponentChildren }) {
  return (
    <a
      href={pathOf(to)}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        navigate(to);
      }}
    >
      {children}
    </a>
  );
}
