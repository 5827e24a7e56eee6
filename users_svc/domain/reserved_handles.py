"""Handles that nobody can have: they would pass for the service itself, for its staff, or for one of its addresses."""

_WORDS = """
    about abuse access account accounts activate activity ad add address admin administration administrator admins
    advertise all analytics android anonymous anybody anyone api app application apps archive ask assets auth
    authenticate authorize autoconfig avatar backup banking billing blob block blocked blocks blog board bot bots
    broadcasthost business bug bugs calendar callback card cart change channel chat checkout claim client clients code
    comment compliance config confirm connect consent contact contacts copyright create csrf customer dashboard data
    delete deleted demo deploy dev developer developers device devices directory disable disabled discover dispute dns
    docs documentation domain download edit email emails employee error errors event events everybody everyone example
    explore export faq favicon feed feedback file files finance follow followers following forgot forum fraud
    ftp gateway gdpr gift graph group groups guest handle health help helpdesk here home host hosting hostmaster
    html http https icon id image images imap inbox index info information internal invite invoice invoices ios issue
    issues job jobs json jwks keys kyc legal leveret leveretapp license list lists live local localhost localdomain
    log login logout logs lookup mail mailer mailerdaemon mail_daemon maintenance manager marketing me member members
    message messages metrics mfa moderator moderators mod mods money mute my name nan network new news newsletter
    nobody none noreply no_reply notification notifications notify null oauth office offers official openapi operator
    order orders owner page pages partner partners passkey passkeys password pay payment payments payout payouts ping
    plan plans policy pop pop3 popular portal post postmaster posts preferences premium press price pricing privacy
    private profile profiles promo public purchase query readme receipt recovery refund refunds register
    registration relationship relationships reply report reports reset robots root rss sale sales sandbox save search
    secure security self send seo server service services session sessions settings setup share shop signin signout
    signup site sitemap smtp spam ssl staff start stat static statistics stats status store stream stripe subscribe
    subscription subscriptions superuser support survey suspended sysadmin sysop system team teams terms test tester
    tests theme token tokens tool tools tos trade transaction transactions transfer trust trusted undefined unfollow
    unknown unmute unsubscribe update updates upload uploads url usage user username users verified verify version void
    wallet web webhook webhooks webmail webmaster welcome wellknown well_known wiki wpad www www1 www2 xml you yourself
"""

RESERVED = frozenset(_WORDS.split())
