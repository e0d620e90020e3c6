-- Locked by the scheduler while it decides. One whose session with the leader's lock broke may not know yet that another
-- leads: it waits here, and then sees what the other has decided.
CREATE TABLE decisions ();
