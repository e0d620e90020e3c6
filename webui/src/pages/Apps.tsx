import { api } from "../api/client";
import type { App, Deployment, Instance, Settings } from "../api/types";
import { Badge } from "../components";
import { usePolling } from "../hooks";
import { Link } from "../router";
import { addressesOf, statusOf } from "../status";

interface Row {
  app: App;
  deployments: Deployment[];
  instances: Instance[];
}

async function load(): Promise<Row[]> {
  const organisations = await api.organisations();
  const lists = await Promise.all(organisations.map((o) => api.apps(o.id)));
  const apps = lists.flat().sort((a, b) => a.name.localeCompare(b.name));
  return Promise.all(
    apps.map(async (app) => {
      const [deployments, instances] = await Promise.all([api.deployments(app, 1), api.instances(app)]);
      return { app, deployments, instances };
    }),
  );
}

export function Apps({ settings, onSignedOut }: { settings: Settings; onSignedOut: () => void }) {
  const { value: rows, error, signedOut } = usePolling(load, 2000, "apps");
  if (signedOut) onSignedOut();
  return (
    <main>
      <h1>Applications</h1>
      {error !== undefined && <p role="alert">{error}</p>}
      {rows === undefined && error === undefined && <p>Loading…</p>}
      {rows?.length === 0 && (
        <p>
          No application yet. Make one with <code>karreg create NAME</code>, then <code>karreg deploy</code>.
        </p>
      )}
      {rows !== undefined && rows.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>Name</th>
              <th>State</th>
              <th>Address</th>
              <th>Runtime</th>
              <th>Commit</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ app, deployments, instances }) => {
              const status = statusOf(app, deployments, instances);
              return (
                <tr key={app.id}>
                  <td>
                    <Link to={{ page: "app", id: app.id }}>{app.name}</Link>
                  </td>
                  <td>
                    <Badge label={status.label} /> <small>{status.text}</small>
                  </td>
                  <td>
                    {addressesOf(app, settings).map((address) => (
                      <a key={address} href={address} rel="noreferrer" target="_blank">
                        {address}
                      </a>
                    ))}
                  </td>
                  <td>{app.instance.variant.name}</td>
                  <td>
                    <code>{app.commitId?.slice(0, 8) ?? "–"}</code>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
    </main>
  );
}
