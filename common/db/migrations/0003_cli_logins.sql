-- Logins that a user accepted in the console for a command line that asks for its token now. Rows live for two minutes
-- at most and end with the browser session that accepted; the token itself is made when it is fetched.
CREATE TABLE cli_logins (
  request_hash text PRIMARY KEY,                  -- SHA-256 of what the command line chose at random
  session_id   text NOT NULL REFERENCES tokens ON DELETE CASCADE,
  user_id      text NOT NULL REFERENCES users ON DELETE CASCADE,
  expires_at   timestamptz NOT NULL
);
