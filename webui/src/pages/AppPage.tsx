import { useState } from "preact/hooks";
import { api } from "../api/client";
import type { App, Deployment, Instance, Settings } from "../api/types";
import { Badge, Log } from "../components";
import { useLiveLog, usePolling } from "../hooks";
import { Link } from "../router";
import { addressesOf, ago, statusOf } from "../status";

interface Data {
  app: App;
  deployments: Deployment[];
  instances: Instance[];
}

async function load(id: string): Promise<Data> {
  const app = await api.app(id);
  const [deployments, instances] = await Promise.all([api.deployments(app, 20), api.instances(app)]);
  return { app, deployments, instances };
}

interface Props {
  id: string;
  deployment: string | undefined;
  settings: Settings;
  onSignedOut: () => void;
}

export function AppPage({ id, deployment, settings, onSignedOut }: Props) {
  const { value, error, signedOut } = usePolling(() => load(id), 1500, id);
  if (signedOut) onSignedOut();
  const log = useLiveLog(value && api.logsUrl(value.app, deployment));
  if (value === undefined) return <main>{error !== undefined ? <p role="alert">{error}</p> : <p>Loading…</p>}</main>;
  const { app, deployments, instances } = value;
  const status = statusOf(app, deployments, instances);
  return (
    <main>
      <p>
        <Link to={{ page: "apps" }}>Applications</Link> ›
      </p>
      <h1>
        {app.name} <Badge label={status.label} />
      </h1>
      <p>{status.text}</p>
      <p>
        {addressesOf(app, settings).map((address) => (
          <a key={address} href={address} rel="noreferrer" target="_blank">
            {address}
          </a>
        ))}
      </p>
      <p>
        <code>git push {app.deployment.httpUrl} HEAD:master</code>
      </p>
      <Actions app={app} />
      {error !== undefined && <p role="alert">{error}</p>}
      <h2>Deployments</h2>
      <table>
        <thead>
          <tr>
            <th>#</th>
            <th>State</th>
            <th>Action</th>
            <th>Commit</th>
            <th>Cause</th>
            <th>When</th>
          </tr>
        </thead>
        <tbody>
          {deployments.map((d) => (
            <tr key={d.uuid} aria-current={d.uuid === deployment ? "true" : undefined}>
              <td>
                <Link to={{ page: "app", id, deployment: d.uuid }}>{d.id}</Link>
              </td>
              <td>
                <Badge label={d.state} />
              </td>
              <td>{d.action}</td>
              <td>
                <code>{d.commit?.slice(0, 8) ?? "–"}</code>
              </td>
              <td>{d.cause}</td>
              <td>{ago(Date.now() - d.date)} ago</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h2>{deployment === undefined ? "Live log" : "Log of this deployment"}</h2>
      {deployment !== undefined && <Link to={{ page: "app", id }}>Show all</Link>}
      <Log log={log} />
    </main>
  );
}

function Actions({ app }: { app: App }) {
  const [message, setMessage] = useState<string>();
  const run = (what: string, action: () => Promise<unknown>) => async () => {
    setMessage(`${what}…`);
    try {
      await action();
      setMessage(`${what}: asked for. The list below shows it happen.`);
    } catch (e) {
      setMessage(e instanceof Error ? e.message : String(e));
    }
  };
  return (
    <p>
      <button type="button" onClick={run("Restart", () => api.restart(app))}>
        Restart
      </button>{" "}
      <button
        type="button"
        onClick={() => {
          if (confirm(`Stop ${app.name}? It will answer no more requests until it is deployed or restarted.`))
            void run("Stop", () => api.stop(app))();
        }}
      >
        Stop
      </button>{" "}
      <span role="status">{message}</span>
    </p>
  );
}
