import type { App, Deployment, Host, Instance, Organisation, Settings, User } from "./types";

/** An answer of the API that is not a success; `message` is the API's own sentence. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** How long one call may take before the console says so, in milliseconds. */
const DEADLINE_MS = 20_000;

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      // The header proves that the request comes from this page: other sites cannot set it.
      headers: {
        "X-Karreg-Console": "1",
        Accept: "application/json",
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
  } catch (cause) {
    throw new ApiError(0, `The API does not answer (${String(cause)}). The console tries again by itself.`);
  }
  const isJson = (response.headers.get("Content-Type") ?? "").startsWith("application/json");
  const value: unknown = isJson ? await response.json() : await response.text();
  if (!response.ok) throw new ApiError(response.status, messageOf(value, response));
  return value as T;
}

function messageOf(value: unknown, response: Response): string {
  if (typeof value === "object" && value !== null && "message" in value) return String(value.message);
  return `${response.status} ${response.statusText}`;
}

const app = (a: Pick<App, "id" | "ownerId">) => `/v2/organisations/${a.ownerId}/applications/${a.id}`;

export const api = {
  signIn: (email: string, password: string) => call<void>("POST", "/console/session", { email, password }),
  signOut: () => call<void>("DELETE", "/console/session"),
  self: () => call<User>("GET", "/v2/self"),
  settings: () => call<Settings>("GET", "/console/settings"),
  acceptCliLogin: (token: string) => call<void>("POST", "/console/cli_logins", { cli_token: token }),
  hosts: () => call<Host[]>("GET", "/v1/hosts"),
  organisations: () => call<{ organisations: Organisation[] }>("GET", "/v2/summary").then((s) => s.organisations),
  apps: (organisation: string) => call<App[]>("GET", `/v2/organisations/${organisation}/applications`),
  app: (id: string) => call<App>("GET", `/v2/self/applications/${id}`),
  deployments: (a: App, limit: number) => call<Deployment[]>("GET", `${app(a)}/deployments?limit=${limit}`),
  instances: (a: App) => call<Instance[]>("GET", `${app(a)}/instances`),
  restart: (a: App) => call<{ deploymentId: string }>("POST", `${app(a)}/instances`),
  stop: (a: App) => call<void>("DELETE", `${app(a)}/instances`),
  logsUrl: (a: App, deployment?: string) =>
    `/v4/logs/organisations/${a.ownerId}/applications/${a.id}/logs` +
    (deployment ? `?deploymentId=${encodeURIComponent(deployment)}` : ""),
};
