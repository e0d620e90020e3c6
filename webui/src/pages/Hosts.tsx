import { api } from "../api/client";
import { usePolling } from "../hooks";
import { ago } from "../status";

/** The machines of the platform: builds and boots are as quick as their accelerator. */
export function Hosts({ onSignedOut }: { onSignedOut: () => void }) {
  const { value: hosts, error, signedOut } = usePolling(api.hosts, 2000, "hosts");
  if (signedOut) onSignedOut();
  return (
    <main>
      <h1>Hosts</h1>
      {error !== undefined && <p role="alert">{error}</p>}
      {hosts === undefined && error === undefined && <p>Loading…</p>}
      {hosts?.length === 0 && <p>No host has reported yet, so nothing can be deployed.</p>}
      {hosts !== undefined && hosts.length > 0 && (
        <table>
          <thead>
            <tr>
              <th>Host</th>
              <th>Accelerator</th>
              <th>Measured</th>
              <th>Processors</th>
              <th>Memory</th>
              <th>Last report</th>
            </tr>
          </thead>
          <tbody>
            {hosts.map((host) => (
              <tr key={host.id}>
                <td>{host.id}</td>
                <td>{host.accelerator}</td>
                <td>{host.accelerator_detail}</td>
                <td>{host.vcpus}</td>
                <td>{host.memory_mb} MB</td>
                <td>{ago(host.silent_ms)} ago</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </main>
  );
}
