-- A duty removes sessions that expired long ago.
grant delete on user_session to mintage_service;
