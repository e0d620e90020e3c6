/** What the console reads of the API's objects; the API sends more. Times of v2 are milliseconds since the epoch. */

export interface User {
  id: string;
  email: string;
  name: string;
}

export interface Organisation {
  id: string;
  name: string;
}

export type AppState = "SHOULD_BE_DOWN" | "WANTS_TO_BE_UP" | "SHOULD_BE_UP";

export interface App {
  id: string;
  name: string;
  description: string;
  ownerId: string;
  zone: string;
  creationDate: number;
  state: AppState;
  commitId: string | null;
  instance: {
    variant: { slug: string; name: string };
    minInstances: number;
    maxInstances: number;
    minFlavor: { name: string };
    maxFlavor: { name: string };
  };
  deployment: { httpUrl: string };
  vhosts: { fqdn: string }[];
  /** Seconds without a request after which it may sleep; 0: never. */
  sleepAfter: number;
  sleep: "awake" | "asleep" | "waking";
}

export type DeploymentState = "WIP" | "OK" | "FAIL" | "CANCELLED";

export interface Deployment {
  id: number;
  uuid: string;
  date: number;
  state: DeploymentState;
  action: "DEPLOY" | "UNDEPLOY" | "UPSCALE" | "DOWNSCALE";
  commit: string | null;
  cause: string;
  author?: unknown;
}

export interface Instance {
  id: string;
  state: string;
  flavor: { name: string };
  instanceNumber: number;
}

export interface LogLine {
  id: string;
  date: string;
  message: string;
  service: string;
  instanceId?: string;
  deploymentId?: string;
}

/** A machine of the platform. */
export interface Host {
  id: string;
  accelerator: string;
  /** The measured figures that the accelerator follows from. */
  accelerator_detail: string;
  memory_mb: number;
  vcpus: number;
  /** Since its last report. */
  silent_ms: number;
}

/** Where the platform publishes apps: `http://<vhost>:<port>/`. */
export interface Settings {
  appsScheme: string;
  appsPort: number;
  version: string;
}
