import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, ApiError } from "./api/client";
import type { Settings, User } from "./api/types";
import { AppPage } from "./pages/AppPage";
import { Apps } from "./pages/Apps";
import { CliLogin } from "./pages/CliLogin";
import { Hosts } from "./pages/Hosts";
import { SignIn } from "./pages/SignIn";
import { Link, useRoute } from "./router";
import "./style.css";

/** How long after a failed call the console opens itself again. */
const RETRY_MS = 2000;

type Session = { state: "unknown" } | { state: "out" } | { state: "in"; user: User; settings: Settings };

function Console() {
  const [session, setSession] = useState<Session>({ state: "unknown" });
  // An object, so that the same failure twice is a change twice.
  const [error, setError] = useState<{ message: string }>();
  const route = useRoute();
  const open = async () => {
    try {
      const [user, settings] = await Promise.all([api.self(), api.settings()]);
      setSession({ state: "in", user, settings });
      setError(undefined);
    } catch (e) {
      const signedOut = e instanceof ApiError && e.status === 401;
      if (signedOut) setSession({ state: "out" });
      setError(signedOut ? undefined : { message: e instanceof Error ? e.message : String(e) });
    }
  };
  useEffect(() => void open(), []);
  useEffect(() => {
    if (error === undefined) return;
    const timer = setTimeout(() => void open(), RETRY_MS);
    return () => clearTimeout(timer);
  }, [error]);
  if (error !== undefined) return <p role="alert">{error.message}</p>;
  if (session.state === "unknown") return <p>Loading…</p>;
  if (session.state === "out") return <SignIn onSignedIn={() => void open()} />;
  const signedOut = () => setSession({ state: "out" });
  return (
    <>
      <header>
        <strong>Karreg</strong> <Link to={{ page: "apps" }}>Applications</Link> <Link to={{ page: "hosts" }}>Hosts</Link>{" "}
        <span>{session.user.email}</span>
        <button type="button" onClick={() => void api.signOut().finally(signedOut)}>
          Sign out
        </button>
      </header>
      {route.page === "apps" && <Apps settings={session.settings} onSignedOut={signedOut} />}
      {route.page === "hosts" && <Hosts onSignedOut={signedOut} />}
      {route.page === "cli-login" && (
        <CliLogin user={session.user} token={route.token} version={route.version} onSignedOut={signedOut} />
      )}
      {route.page === "app" && (
        <AppPage id={route.id} deployment={route.deployment} settings={session.settings} onSignedOut={signedOut} />
      )}
    </>
  );
}

const root = document.getElementById("root");
if (root !== null) render(<Console />, root);
