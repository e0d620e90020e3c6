import { useState } from "preact/hooks";
import { api, ApiError } from "../api/client";
import type { User } from "../api/types";
import { Link } from "../router";

interface Props {
  user: User;
  token: string;
  version: string;
  onSignedOut: () => void;
}

/** Where a command line sends its user, who accepts that it acts for them. */
export function CliLogin({ user, token, version, onSignedOut }: Props) {
  const [state, setState] = useState<"asked" | "busy" | "accepted">("asked");
  const [error, setError] = useState<string>();
  const accept = async () => {
    setState("busy");
    setError(undefined);
    try {
      await api.acceptCliLogin(token);
      setState("accepted");
    } catch (e) {
      if (e instanceof ApiError && e.status === 401) onSignedOut();
      setError(e instanceof Error ? e.message : String(e));
      setState("asked");
    }
  };
  return (
    <main>
      <h1>Log in a command line</h1>
      {state === "accepted" ? (
        <p role="status">Accepted: the command line goes on by itself. This page can be closed.</p>
      ) : (
        <>
          <p>
            A command line{version !== "" && <> that calls itself “{version}”</>} asks to act for <strong>{user.email}</strong>: to
            see and change everything that you can.
          </p>
          <p>
            Accept only if you have just started it yourself and the address that it shows ends with <code>{token.slice(-8)}</code>.
            Whoever sent you a link to this page would get your rights.
          </p>
          <p>
            <button type="button" disabled={state === "busy"} onClick={() => void accept()}>
              Accept
            </button>{" "}
            <Link to={{ page: "apps" }}>Refuse</Link>
          </p>
          {error !== undefined && <p role="alert">{error}</p>}
        </>
      )}
    </main>
  );
}
