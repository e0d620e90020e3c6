import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, ApiError } from "./api/client";
import type { Settings, User } from "./api/types";
import { AppPage } from "./pages/AppPage";
import { Apps } from "./pages/Apps";
import { SignIn } from "./pages/SignIn";
import { useRoute } from "./router";
import "./style.css";

type Session = { state: "unknown" } | { state: "out" } | { state: "in"; user: User; settings: Settings };

function Console() {
  const [session, setSession] = useState<Session>({ state: "unknown" });
  const [error, setError] = useState<string>();
  const route = useRoute();
  const open = async () => {
    try {
      const [user, settings] = await Promise.all([api.self(), api.settings()]);
      setSession({ state: "in", user, settings });
      setError(undefined);
    } catch (e) {
      if (e instanceof ApiError && e.status === 401) setSession({ state: "out" });
      else setError(e instanceof Error ? e.message : String(e));
    }
  };
  useEffect(() => void open(), []);
  if (error !== undefined) return <p role="alert">{error}</p>;
  if (session.state === "unknown") return <p>Loading…</p>;
  if (session.state === "out") return <SignIn onSignedIn={() => void open()} />;
  const signedOut = () => setSession({ state: "out" });
  return (
    <>
      <header>
        <strong>Karreg</strong> <span>{session.user.email}</span>
        <button type="button" onClick={() => void api.signOut().finally(signedOut)}>
          Sign out
        </button>
      </header>
      {route.page === "apps" ? (
        <Apps settings={session.settings} onSignedOut={signedOut} />
      ) : (
        <AppPage id={route.id} deployment={route.deployment} settings={session.settings} onSignedOut={signedOut} />
      )}
    </>
  );
}

const root = document.getElementById("root");
if (root !== null) render(<Console />, root);
