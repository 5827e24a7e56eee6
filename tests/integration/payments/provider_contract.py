"""What every provider's adapter has to keep. Subclass it, give the fixtures, and all of it is tested:

    class TestSomeProvider(ProviderContract):
        @pytest.fixture
        def provider(self): ...

        def let_time_pass(self, provider): ...

        def let_authorizations_end(self, provider): ...

        def told(self, provider): ...

An adapter whose provider has other tokens overrides them; None for what its provider cannot be made to do.
"""

from tests.integration.payments.provider_contract_charges import ChargesContract
from tests.integration.payments.provider_contract_messages import MessagesContract
from tests.integration.payments.provider_contract_operations import OperationsContract
from tests.integration.payments.provider_contract_setting import charge_of, refund_of

__all__ = ["ProviderContract", "charge_of", "refund_of"]


class ProviderContract(ChargesContract, OperationsContract, MessagesContract):
    pass
